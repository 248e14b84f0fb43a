//! Swarms: each seed draws which faults its world knows, and how often they come.

use super::dice::Dice;

/// The kinds of things that go wrong, or that people seldom do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Requests are lost.
    DropRequest,
    /// Answers are lost, after the server acted.
    DropAnswer,
    /// Requests arrive twice.
    Duplicate,
    /// Requests and answers take long, and overtake each other.
    Delay,
    /// Networks come and go.
    Cut,
    /// A proxy takes small bodies only.
    SmallBodies,
    /// One change makes the server fail until it is alone.
    Poison,
    /// Tablets crash between any two outputs.
    CrashTablet,
    /// A tablet's database is copied, and both copies are used.
    CloneTablet,
    /// A tablet goes back to an older copy of its database.
    RestoreTablet,
    /// The server stops and starts.
    RestartServer,
    /// The server goes back to an older copy of its database.
    RestoreServer,
    /// Wall clocks are wrong by up to two days, and jump.
    Clocks,
    /// Grants come, end, and are dated ahead.
    Grants,
    /// Records move between buckets.
    Moves,
    /// Devices are revoked.
    Revoke,
    /// Approvers seal, unseal, accept and set aside.
    Seals,
    /// People edit at the console.
    Console,
    /// Supervisors release and close what is in quarantine.
    Quarantine,
    /// Devices send what is no change.
    Rogue,
    /// A form is published after its records.
    LateForm,
    /// Old requests are sent again.
    Replay,
    /// Answers are cut into small pages.
    SmallPages,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::DropRequest,
        Self::DropAnswer,
        Self::Duplicate,
        Self::Delay,
        Self::Cut,
        Self::SmallBodies,
        Self::Poison,
        Self::CrashTablet,
        Self::CloneTablet,
        Self::RestoreTablet,
        Self::RestartServer,
        Self::RestoreServer,
        Self::Clocks,
        Self::Grants,
        Self::Moves,
        Self::Revoke,
        Self::Seals,
        Self::Console,
        Self::Quarantine,
        Self::Rogue,
        Self::LateForm,
        Self::Replay,
        Self::SmallPages,
    ];
}

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Plan {
    faults: Vec<(Fault, usize)>,
    /// How many tablets begin.
    pub tablets: usize,
    /// How many things people do.
    pub actions: usize,
    /// Bytes of records in an answer; `None`: what the protocol gives.
    pub page_bytes: Option<usize>,
    /// The largest body that the network lets through.
    pub body_bytes_max: Option<usize>,
}

impl Plan {
    /// Draws a plan: a fifth of the worlds has no faults, a tenth has them all, the rest a few.
    pub fn draw(dice: &mut Dice) -> Self {
        let count = match dice.below(10) {
            0 | 1 => 0,
            2 => Fault::ALL.len(),
            _ => 2 + dice.below(5),
        };
        let mut kinds: Vec<Fault> = Fault::ALL.to_vec();
        let mut faults = Vec::new();
        for _ in 0..count {
            let kind = kinds.swap_remove(dice.below(kinds.len()));
            faults.push((kind, 20 + dice.below(230)));
        }
        let tablets = 2 + dice.below(3);
        let actions = 20 + dice.below(50);
        let page = [1, 200, 900, 3_000].get(dice.below(4)).copied();
        let body = 6_000 + dice.below(20_000);
        let mut plan = Self { faults, tablets, actions, page_bytes: None, body_bytes_max: None };
        plan.page_bytes = page.filter(|_| plan.has(Fault::SmallPages));
        plan.body_bytes_max = plan.has(Fault::SmallBodies).then_some(body);
        plan
    }

    /// A world in which nothing happens by itself.
    pub const fn still(tablets: usize) -> Self {
        Self { faults: Vec::new(), tablets, actions: 0, page_bytes: None, body_bytes_max: None }
    }

    /// Whether this kind of fault happens at all.
    pub fn has(&self, kind: Fault) -> bool {
        self.rate(kind) > 0
    }

    /// How often a fault of this kind comes, in a thousand; 0 when the world does not know it.
    pub fn rate(&self, kind: Fault) -> usize {
        self.faults.iter().find(|(known, _)| *known == kind).map_or(0, |(_, rate)| *rate)
    }

    /// What the world knows, in words.
    pub fn words(&self) -> String {
        let faults: Vec<String> =
            self.faults.iter().map(|(kind, rate)| format!("{kind:?} {rate}")).collect();
        format!("{} tablets, {} actions, {}", self.tablets, self.actions, faults.join(", "))
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults.retain(|(kind, _)| *kind == Fault::SmallPages);
        self.body_bytes_max = None;
    }
}
