//! The named places at which the server is made to die.

/// Where a start can be cut: the server dies before it is ready.
pub const START: [&str; 4] = [
    "start.before_migration",
    "start.after_migration",
    "start.tenants_made",
    "start.before_listening",
];

/// Where work can be cut: reached under load.
pub const WORK: [&str; 15] = [
    "push.begun",
    "push.records_locked",
    "write.head_advanced",
    "write.journal_written",
    "write.records_written",
    "push.numbers_received",
    "push.after_lease_update",
    "push.before_commit",
    "push.after_commit_before_reply",
    "push.after_poke",
    "pull.snapshot_taken",
    "pull.page",
    "pull.before_answer",
    "command.before_commit",
    "command.after_commit_before_reply",
];

/// Where an orderly stop can be cut: reached after SIGTERM.
pub const STOP: [&str; 3] = ["stop.not_ready", "stop.before_store_closes", "stop.store_closed"];
