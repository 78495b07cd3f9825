//! `inn token create`, `list`, `revoke`.

use super::{Context, completion, expiry};
use crate::{
    client::{Call, Target, decode},
    failure::Failure,
    figures::age,
    output::{Cell, Format, Table, Tint},
};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_auth::{Address, CredentialState, Role, ShownCredential};
use innkeeper_model::{Secret, Timestamp, TokenName};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token for a caller over TCP, and print it: nobody can be told it again
    Create(Create),
    /// List the tokens that were issued, and when each was used
    #[command(visible_alias = "ls")]
    List,
    /// Have tokens refused from now on
    #[command(visible_alias = "rm")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Whoever shows the token is known as token:NAME in tasks and logs. With --project \
    nothing of other projects is there for them; an owner needs one."
)]
pub(super) struct Create {
    /// Its name
    name: TokenName,
    /// What its bearers may do; inn auth table shows it
    #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)))]
    role: String,
    /// From when on it is refused: a span such as 30d or 12h, a date, or a time such as
    /// 2027-01-31T12:00:00Z; never, if nothing is said
    #[arg(long, value_name = "WHEN", value_parser = expiry::parse)]
    expires: Option<Timestamp>,
    /// It has a privileged caller's room in the limits of requests
    #[arg(long)]
    privileged: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The tokens' names
    #[arg(
        value_name = "NAME",
        required_unless_present = "wallet",
        add = ArgValueCompleter::new(completion::token_names),
    )]
    names: Vec<TokenName>,
    /// All that this Ethereum account has shown and signed until now
    #[arg(long, value_name = "ADDRESS", conflicts_with = "names")]
    wallet: Option<Address>,
    /// Of that only the tokens with this jti
    #[arg(long, requires = "wallet")]
    jti: Option<String>,
}

pub(super) async fn run(context: &Context, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(token) => create(context, token).await,
        TokenCommand::List => list(context).await,
        TokenCommand::Revoke(tokens) => revoke(context, tokens).await,
    }
}

/// What the daemon answers to who has a token made.
#[derive(Deserialize)]
struct Created {
    text: Secret,
}

async fn create(context: &Context, create: Create) -> Result<(), Failure> {
    let Create { name, role, expires, privileged } = create;
    let mut body = json!({ "name": name, "role": role, "privileged": privileged });
    if let Some(project) = &context.project {
        body["project"] = project.as_str().into();
    }
    if let Some(expires) = expires {
        body["expires"] = expires.to_string().into();
    }
    let call = Call::post(Target::new("/v1/tokens")).with_body(body);
    let answer = context.client.call(call).await?.body;
    let output = &context.output;
    match output.format {
        Format::Json | Format::Yaml => return output.document(&answer),
        Format::Name => return output.line(&name),
        Format::Table => {}
    }
    // Nothing but the token, so that a script can take it.
    let Created { text } = decode(answer)?;
    output.line(text.expose().unwrap_or_default())?;
    output.talk("this is the only time that it is shown");
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let items = context.client.list(Target::new("/v1/tokens")).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let tokens: Vec<ShownCredential> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return tokens.iter().try_for_each(|token| output.line(&token.name));
    }
    if tokens.is_empty() {
        output.talk("no tokens were issued; make one with inn token create");
        return Ok(());
    }
    output.table(&table(&tokens, Timestamp::now()))
}

fn table(tokens: &[ShownCredential], now: Timestamp) -> Table {
    let mut table = Table::new(COLUMNS);
    for token in tokens {
        table.row(cells(token, now));
    }
    table
}

/// What is shown of a credential.
pub(super) const COLUMNS: [&str; 8] =
    ["NAME", "STATE", "ROLE", "PROJECT", "EXPIRES", "USED", "AGE", "BY"];

/// A credential in these columns.
pub(super) fn cells(credential: &ShownCredential, now: Timestamp) -> [Cell; 8] {
    let ago = |then| format!("{} ago", age(then, now));
    let expires = credential.expires.map(|expires| format!("{expires:.0}"));
    [
        credential.name.as_str().into(),
        state(credential.state),
        credential.role.as_str().into(),
        credential.project.as_ref().map_or("-", |project| project.as_str()).into(),
        expires.unwrap_or_else(|| "never".into()).into(),
        credential.last_used.map_or_else(|| "never".into(), ago).into(),
        age(credential.created, now).into(),
        credential.created_by.as_str().into(),
    ]
}

fn state(state: CredentialState) -> Cell {
    match state {
        CredentialState::Valid => Cell::tinted("valid", Tint::Good),
        CredentialState::Expired => Cell::tinted("expired", Tint::Faint),
        CredentialState::Revoked => Cell::tinted("revoked", Tint::Bad),
    }
}

async fn revoke(context: &Context, revoke: Revoke) -> Result<(), Failure> {
    if let Some(account) = &revoke.wallet {
        let target = Target::new("/v1/sign-in").segment(account);
        let call = Call::delete(target.with_any("jti", revoke.jti.as_deref()));
        context.client.open(call).await?;
        context.output.talk(format_args!("what {account} has shown is refused from now on"));
        return shown(context, Vec::new());
    }
    let mut answers = Vec::new();
    for name in &revoke.names {
        let call = Call::delete(Target::new("/v1/tokens").segment(name));
        answers.push(context.client.call(call).await?.body);
        context.output.talk(format_args!("{name} is refused from now on"));
    }
    shown(context, answers)
}

/// What was revoked, for programs.
fn shown(context: &Context, answers: Vec<Value>) -> Result<(), Failure> {
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answers),
        Format::Table | Format::Name => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_there_is_to_know_of_a_token() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let token = json!({
            "name": "ci", "state": "expired", "role": "owner", "project": "web", "privileged": false,
            "created": "2026-01-21T10:00:00Z", "created_by": "uid:0",
            "expires": "2026-01-30T10:00:00Z", "last_used": "2026-01-30T09:00:00Z",
        });
        let text = table(&[serde_json::from_value(token).unwrap()], now).render(false);
        let row: Vec<_> =
            text.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).collect();
        let expected =
            ["ci", "expired", "owner", "web", "2026-01-30T10:00:00Z", "1d ago", "10d", "uid:0"];
        assert_eq!(row.iter().map(|cell| cell.trim()).collect::<Vec<_>>(), expected);
    }
}
