//! Later.
use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::world::World;
use anyhow::Result;

pub(super) async fn play(_world: &World, _book: &mut Book, _tablets: &mut Tablets) -> Result<()> {
    Ok(())
}
