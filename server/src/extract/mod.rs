//! What handlers take: bodies within their bounds, and callers who were admitted.

mod body;
mod budget;
mod caller;
mod inflate;
mod json;
mod members;
mod misread;
mod strict;

pub use body::{BodyRule, SMALL_BODY_BYTES_MAX, Text, limits};
pub use budget::{BODIES_BYTES_MAX, Bodies, Held};
pub use caller::{AdminCaller, Caller, ConsoleCaller, Peer, Person, TabletCaller};
pub use inflate::inflate;
pub use json::{Json, Parameters, Segment};
pub use members::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, page_rows, reason, word};
pub(crate) use misread::misread;
pub use strict::check;
