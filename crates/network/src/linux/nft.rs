//! Running `nft`: a text goes in, and is in force as a whole or not at all.

use super::programs;
use crate::patience;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm::Helper;
use std::process::Stdio;
use tokio::process::Command;

/// Puts a ruleset in force. A dropped future leaves it in force or as it was.
pub(super) async fn put(ruleset: String) -> Result<(), Refusal> {
    run(&["-f", "-"], Some(ruleset)).await.map(drop)
}

/// What is in force of a table, without what changes by itself; `None` where there is no such table.
pub(super) async fn list(family: &str, table: &str) -> Result<Option<String>, Refusal> {
    // Asked for by name, a table that is not there is an error like any other.
    let tables = run(&["list", "tables"], None).await?;
    let line = format!("table {family} {table}");
    if !tables.lines().any(|other| other == line) {
        return Ok(None);
    }
    run(&["-s", "list", "table", family, table], None).await.map(Some)
}

/// All chains that there are, as JSON.
pub(super) async fn list_chains() -> Result<String, Refusal> {
    run(&["-j", "list", "chains"], None).await
}

/// A table that is there, as JSON.
pub(super) async fn list_as_json(family: &str, table: &str) -> Result<String, Refusal> {
    run(&["-j", "list", "table", family, table], None).await
}

async fn run(arguments: &[&str], input: Option<String>) -> Result<String, Refusal> {
    let mut nft = Command::new(programs::nft()?);
    nft.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    nft.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let input = input.unwrap_or_default();
    let output =
        patience::output(Helper::start(&mut nft)?, input.as_bytes(), patience::NFT).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let first: Vec<&str> = words.trim().lines().take(3).collect();
    let message = format!("nft refused the rules of the networks: {}", first.join(" "));
    Err(Refusal::new(Code::Unsupported, message).with_hint(
        "`nft list ruleset` shows what is in force; this kernel may lack a part of nftables",
    ))
}
