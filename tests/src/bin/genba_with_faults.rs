//! The server's own `main`, in a build that can be told where to die and which rule to break.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
