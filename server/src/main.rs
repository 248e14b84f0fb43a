//! The program `genba`.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
