//! `inn logs`: what a guest wrote to its serial console, or its hypervisor to its standard error.

use super::{Context, VmArg};
use crate::{
    client::{Call, Lines},
    failure::Failure,
    output::plain,
};
use clap::Args;
use http_body_util::BodyExt;
use std::io::{self, IsTerminal};

#[derive(Debug, Args)]
#[command(after_help = "On a terminal, what would steer it is left out; otherwise every byte is \
    written as it came.")]
pub(super) struct Logs {
    #[command(flatten)]
    vm: VmArg,
    /// What the hypervisor has said, rather than the guest
    #[arg(long)]
    hypervisor: bool,
}

pub(super) async fn run(context: &Context, logs: Logs) -> Result<(), Failure> {
    let source = if logs.hypervisor { "hypervisor" } else { "serial" };
    let target = context.of_vm(&logs.vm.vm, "logs").with("source", source);
    let mut body = context.client.open(Call::get(target)).await?.into_body();
    if io::stdout().is_terminal() {
        let mut lines = Lines::of(body);
        while let Some(line) = lines.next().await? {
            let line = strip(&String::from_utf8_lossy(&line));
            context.output.line(plain(&line))?;
        }
        return Ok(());
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| crate::client::broken(&error))?;
        if let Some(data) = frame.data_ref() {
            context.output.data(data)?;
        }
    }
    Ok(())
}

/// The text without the sequences that colour it and move the cursor: a guest could as well have
/// written ones that retitle the window or type for the reader.
fn strip(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {}
            '\x1b' if chars.next_if_eq(&'[').is_some() => {
                // Parameters, then one letter or sign that ends it.
                while chars.next_if(|c| matches!(c, '\x20'..='\x3f')).is_some() {}
                chars.next_if(|c| matches!(c, '\x40'..='\x7e'));
            }
            c => stripped.push(c),
        }
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_and_the_rest_is_made_harmless() {
        assert_eq!(strip("\x1b[1;31mred\x1b[0m\x1b[2J\r"), "red");
        assert_eq!(plain(&strip("\x1b]0;owned\x07")), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(strip("\x1b["), "");
    }
}
