//! Plays interleavings, batch by batch, and looks in the end that nothing is lost and nothing is left over.

use super::play::{GRACE_MS, play};
use super::scene::{AUTHOR, Scene, Standing};
use super::subject::{Subject, judge};
use crate::crash::dice::Dice;
use anyhow::Result;
use server::media::collect::{self, Rounds};
use std::collections::{BTreeSet, HashSet};

/// Interleavings over one server; its seed replays them.
const BATCH: u32 = 400;
/// Rounds of collection after which nothing is left to be collected of a batch.
const ROUNDS: usize = 8;
/// After so many wrongs a run ends.
const WRONGS_MAX: usize = 10;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of the first batch; each next one has the next seed.
    pub seed: u64,
    /// How many interleavings in which collection and an upload or a reference met.
    pub interleavings: u32,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Interleavings in which collection and an upload or a reference came between each other's steps.
    pub met: u32,
    /// Different orders of steps among them.
    pub orders: usize,
    /// In how many of them an actor failed between two of its steps.
    pub failed: u32,
    /// Photos that were named and there, and stayed.
    pub kept: u32,
    /// Photos that were named and not there, and came again.
    pub sent_again: u32,
    /// Photos that nothing named, and that went.
    pub collected: u32,
    /// What is wrong, with the seed of its batch.
    pub wrongs: Vec<String>,
}

/// Plays a plan.
pub async fn run(plan: Plan) -> Result<Report> {
    let mut report = Report::default();
    let mut orders = HashSet::new();
    let mut seed = plan.seed;
    while report.met < plan.interleavings && report.wrongs.len() < WRONGS_MAX {
        let scene = Scene::open(seed).await?;
        let mut dice = Dice::new(seed);
        let mut subjects = Vec::new();
        for number in 0..BATCH {
            let (subject, played) = play(&scene, u64::from(number), &mut dice).await?;
            let order = played.order();
            for wrong in &played.wrongs {
                report.wrongs.push(format!("seed {seed}, {number}: {wrong}; order {order}"));
            }
            if played.met {
                report.met += 1;
                report.failed += u32::from(played.failed);
                orders.insert(order);
            }
            subjects.push(subject);
        }
        let wrongs = end(&scene, &subjects, &mut report).await?;
        report.wrongs.extend(wrongs.into_iter().map(|wrong| format!("seed {seed}: {wrong}")));
        seed += 1;
    }
    report.orders = orders.len();
    Ok(report)
}

/// Has everything be collected and everything that is needed come again; tells what is wrong then.
async fn end(scene: &Scene, subjects: &[Subject], report: &mut Report) -> Result<Vec<String>> {
    let mut wrongs = Vec::new();
    let mut named = BTreeSet::new();
    settle(scene).await?;
    for subject in subjects {
        let Some(mut look) = judge(scene, subject, &mut wrongs).await else { continue };
        match look.standing {
            Standing::Have => report.kept += 1,
            Standing::Unnamed if look.there => {
                wrongs.push("a photo that nothing names stayed".to_owned());
            }
            Standing::Unnamed => report.collected += 1,
            Standing::Need => {
                report.sent_again += 1;
                scene.upload(AUTHOR, &subject.shot).await?;
                look = scene.look(subject.rec, &subject.shot).await?;
                if look.standing != Standing::Have {
                    wrongs.push("a photo that was sent again is still needed".to_owned());
                }
            }
        }
        named.extend(look.keys);
    }
    settle(scene).await?;
    let lie = scene.objects().await?;
    let (lost, left) = (named.difference(&lie).count(), lie.difference(&named).count());
    if lost > 0 {
        wrongs.push(format!("{lost} objects that rows name are gone"));
    }
    if left > 0 {
        wrongs.push(format!("{left} objects that no row names are left"));
    }
    Ok(wrongs)
}

/// Lets every grace pass and collects, until nothing is left to be collected.
async fn settle(scene: &Scene) -> Result<()> {
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        scene.clock.advance(GRACE_MS);
        rounds.next(&scene.state).await?;
    }
    collect::search(&scene.state, &scene.site.tenant).await?;
    Ok(())
}
