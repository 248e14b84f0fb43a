//! The scenes of the day, in the order in which they are played.

mod approval;
mod april;
mod clocks;
mod copies;
mod evening;
mod fire;
mod food;
mod morning;
mod photos;
mod welfare;

use super::claims::Book;
use super::crew::Crew;
use super::world::World;
use anyhow::Result;
use std::collections::BTreeMap;

/// The tablets of the day, by login.
#[derive(Debug, Default)]
pub struct Tablets(BTreeMap<String, Crew>);

impl Tablets {
    /// The tablet of somebody.
    pub fn of(&mut self, login: &str) -> Result<&mut Crew> {
        self.0.get_mut(login).ok_or_else(|| anyhow::anyhow!("{login} has no tablet today"))
    }

    /// Every tablet.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Crew> {
        self.0.values_mut()
    }
}

/// Plays the whole day.
pub async fn play(world: &World, book: &mut Book) -> Result<Tablets> {
    let mut tablets = morning::play(world, book).await?;
    let inspected = fire::play(world, book, &mut tablets).await?;
    food::play(world, book, &mut tablets).await?;
    welfare::play(world, book, &mut tablets).await?;
    clocks::play(world, book, &mut tablets).await?;
    copies::play(world, book, &mut tablets).await?;
    photos::play(world, book, &mut tablets, inspected).await?;
    approval::play(world, book, &mut tablets, inspected).await?;
    april::play(world, book, &mut tablets).await?;
    evening::play(world, book, &mut tablets).await?;
    Ok(tablets)
}
