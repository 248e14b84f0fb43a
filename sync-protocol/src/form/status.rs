//! The states of a kind of record and the ways between them.

use super::{Label, Role};

/// The states of a kind of record and the ways between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The state of a record whose status was never set.
    pub initial: String,
    /// The states, in the order in which people list them.
    pub states: Vec<State>,
    /// The ways between them.
    pub transitions: Vec<Transition>,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The code, which is the value.
    pub code: String,
    /// What people read.
    pub label: Label,
    /// The state of the greatest rank is shown while two stand beside each other.
    pub rank: i64,
}

/// One way between states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The states that it leads out of.
    pub from: Vec<String>,
    /// The state that it leads to.
    pub to: String,
    /// Who makes it, and where.
    pub offline: Offline,
    /// Who may make it or ask for it.
    pub roles: Vec<Role>,
    /// Whether it needs a reason.
    pub why: bool,
}

/// Where a transition is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// By a change of a tablet, without a network too.
    Yes,
    /// A tablet asks for it by setting `submit_requested`; the server makes it.
    Request,
    /// By a command on the server.
    No,
}

impl Statuses {
    /// Finds the way from one state to another.
    pub fn transition(&self, from: &str, to: &str) -> Option<&Transition> {
        self.transitions.iter().find(|way| way.to == to && way.from.iter().any(|code| code == from))
    }

    /// Finds a state by its code.
    pub fn state(&self, code: &str) -> Option<&State> {
        self.states.iter().find(|state| state.code == code)
    }

    /// The roles that may set the status by a change.
    pub fn writers(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self
            .transitions
            .iter()
            .filter(|way| way.offline == Offline::Yes)
            .flat_map(|way| way.roles.iter().copied())
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}
