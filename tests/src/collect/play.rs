//! One interleaving: the life of one photo, by actors that stop between any two steps.

use super::gated::Actor;
use super::scene::{AUTHOR, OTHER, Scene};
use super::subject::{Subject, judge};
use crate::crash::dice::Dice;
use crate::uploads::camera::Shot;
use anyhow::{Context as _, Result};
use server::clock::Clock as _;
use server::media::collect::{self, Rounds};
use std::time::Duration;
use storage::BlobName;
use sync_protocol::clock::UnixMillis;

/// Longer than every grace: 31 days.
pub(super) const GRACE_MS: i64 = 31 * 24 * 3_600 * 1_000;
/// How long one step may take.
const STEP_MAX: Duration = Duration::from_secs(20);

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// Uploads the photo in one call.
    Uploads(usize),
    /// Uploads it in several calls.
    UploadsInCalls(usize),
    /// Names it in a record.
    Names,
    /// Removes it if nothing names it, step by step.
    Collects,
    /// Does a whole round of collection.
    Rounds,
    /// Removes what is left of closed uploads.
    Sweeps,
    /// Lets every grace pass.
    Waits,
}

impl Part {
    const fn removes(self) -> bool {
        matches!(self, Self::Collects | Self::Rounds | Self::Sweeps)
    }

    const fn brings(self) -> bool {
        matches!(self, Self::Uploads(_) | Self::UploadsInCalls(_) | Self::Names)
    }
}

/// What was seen of one interleaving.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    /// Who went on, step by step.
    order: Vec<Part>,
    /// Whether one who removes and one who brings came between each other's steps.
    pub(super) met: bool,
    /// Whether an actor failed between two of its steps.
    pub(super) failed: bool,
    /// What is wrong.
    pub(super) wrongs: Vec<String>,
}

impl Played {
    /// Who went on, in words.
    pub(super) fn order(&self) -> String {
        format!("{:?}", self.order)
    }
}

/// Draws who takes part.
fn cast(dice: &mut Dice) -> Vec<Part> {
    let who = |dice: &mut Dice| if dice.below(4) == 0 { OTHER } else { AUTHOR };
    let mut parts = Vec::new();
    for _ in 0..=dice.below(2) {
        let who = who(dice);
        parts.push(if dice.below(6) == 0 { Part::UploadsInCalls(who) } else { Part::Uploads(who) });
    }
    for _ in 0..=dice.below(2) {
        parts.push(if dice.below(24) == 0 { Part::Rounds } else { Part::Collects });
    }
    for (part, of) in [(Part::Names, 2), (Part::Sweeps, 10), (Part::Waits, 4)] {
        if dice.below(of) == 0 {
            parts.push(part);
        }
    }
    parts
}

/// Plays one interleaving and judges what is left of it.
pub(super) async fn play(scene: &Scene, number: u64, dice: &mut Dice) -> Result<(Subject, Played)> {
    let subject = Subject::new(number, dice.draw());
    if dice.below(5) > 0 {
        let who = if dice.below(3) == 0 { OTHER } else { AUTHOR };
        scene.upload(who, &subject.shot).await?;
        scene.clock.advance(GRACE_MS);
    }
    let parts = cast(dice);
    let mut actors: Vec<(Part, Option<Actor<'_, Result<()>>>)> =
        parts.into_iter().map(|part| (part, Some(actor(scene, &subject, part)))).collect();
    let mut played = Played::default();
    let mut steps: Vec<usize> = Vec::new();
    scene.gate.shut(true);
    let driven = drive(scene, &mut actors, dice, &mut steps, &mut played).await;
    scene.gate.shut(false);
    driven?;
    let parts: Vec<Part> = actors.iter().map(|(part, _)| *part).collect();
    drop(actors);
    played.order = steps.iter().filter_map(|at| parts.get(*at).copied()).collect();
    played.met = met(&parts, &steps);
    judge(scene, &subject, &mut played.wrongs).await;
    if played.failed {
        // What it left open would count against the quota of the next ones.
        scene.clock.advance(GRACE_MS);
        collect::expire(&scene.state).await?;
    }
    Ok((subject, played))
}

/// Has actors go on in an order of chance, until all have ended. Now and then one fails where it stands: who removes
/// dies with its server, who uploads meets a store that fails.
async fn drive(
    scene: &Scene,
    actors: &mut [(Part, Option<Actor<'_, Result<()>>>)],
    dice: &mut Dice,
    steps: &mut Vec<usize>,
    played: &mut Played,
) -> Result<()> {
    loop {
        let living = actors.iter().enumerate().filter(|(_, (_, actor))| actor.is_some());
        let living: Vec<usize> = living.map(|(at, _)| at).collect();
        let Some(at) = dice.pick(&living).copied() else { return Ok(()) };
        let Some((part, slot)) = actors.get_mut(at) else { return Ok(()) };
        let Some(actor) = slot.as_mut() else { return Ok(()) };
        let fails = steps.contains(&at) && dice.below(40) == 0;
        played.failed |= fails;
        if fails && part.removes() {
            *slot = None;
            continue;
        }
        steps.push(at);
        let step = tokio::time::timeout(STEP_MAX, scene.gate.go_on(at, !fails, actor)).await;
        match step.with_context(|| format!("{part:?} is stuck"))? {
            Some(Err(why)) => played.wrongs.push(format!("{part:?}: {why:#}")),
            Some(Ok(())) => {}
            None => continue,
        }
        *slot = None;
    }
}

/// Whether one who removes and one who brings came between each other's steps.
fn met(parts: &[Part], steps: &[usize]) -> bool {
    let between = |outer: usize, inner: usize| {
        let first = steps.iter().position(|at| *at == outer);
        let last = steps.iter().rposition(|at| *at == outer);
        first.zip(last).is_some_and(|(first, last)| {
            steps.get(first..last).is_some_and(|steps| steps.contains(&inner))
        })
    };
    parts.iter().enumerate().any(|(a, removes)| {
        removes.removes()
            && parts
                .iter()
                .enumerate()
                .any(|(b, brings)| brings.brings() && (between(a, b) || between(b, a)))
    })
}

fn actor<'a>(scene: &'a Scene, subject: &'a Subject, part: Part) -> Actor<'a, Result<()>> {
    let shot = &subject.shot;
    match part {
        Part::Uploads(who) => Box::pin(async move {
            if scene.upload(who, shot).await? {
                subject.was_shown(who, scene.clock.now());
            }
            Ok(())
        }),
        Part::UploadsInCalls(who) => Box::pin(async move {
            if scene.upload_in_calls(who, shot).await? {
                subject.was_shown(who, scene.clock.now());
            }
            Ok(())
        }),
        Part::Names => Box::pin(async move {
            subject.was_named(scene.name(subject.rec, shot).await?);
            Ok(())
        }),
        Part::Collects => Box::pin(collects(scene, shot)),
        Part::Rounds => Box::pin(async move { Ok(Rounds::default().next(&scene.state).await?) }),
        Part::Sweeps => Box::pin(async move {
            for name in collect::unswept(&scene.state).await? {
                scene.gate.stop().await;
                collect::sweep(&scene.state, &name).await?;
            }
            Ok(())
        }),
        Part::Waits => Box::pin(async move {
            scene.clock.advance(GRACE_MS);
            Ok(())
        }),
    }
}

async fn collects(scene: &Scene, shot: &Shot) -> Result<()> {
    let (state, gate) = (&scene.state, &scene.gate);
    let (stored_at, tenant) = (UnixMillis(0), scene.site.tenant.clone());
    let name = BlobName { stored_at, tenant, sha256: shot.blob.sha256.0 };
    collect::condemn(state, &name).await?;
    gate.stop().await;
    for doomed in collect::doomed(state).await? {
        gate.stop().await;
        collect::erase(state, &doomed).await?;
        gate.stop().await;
        collect::forget(state, &doomed).await?;
    }
    Ok(())
}
