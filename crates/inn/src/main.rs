//! The binary `inn`; everything it does is in the library beside it.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    inn::main()
}
