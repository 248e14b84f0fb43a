//! The promises of the merge core, searched for counterexamples and compared with a model that prunes nothing.

mod canonical;
mod change;
mod history;
mod narrative;
mod page;
mod record;
mod reference;
mod seal;
mod time;
mod travel;
mod view;
mod wire;
