//! Who is let in, and how often: the tokens that callers show, read at the start, and when they were used,
//! written down now and then.

use crate::{config::OidcConfig, options::DaemonOptions};
use anyhow::Context as _;
use innkeeper_auth::{
    Accounts, Doorkeeper, IssuedTokens, RevokedTokens, SigningIn, Token, oidc::Issuers,
};
use innkeeper_model::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;
use tracing::warn;

/// How much of what is known of tokens' last uses a crash may lose.
const SAVED_EVERY: Duration = Duration::from_secs(60);
/// How long the daemon's end waits for it.
const SAVED_WITHIN: Duration = Duration::from_millis(200);

/// What knows the daemon's own token and those that it issued.
///
/// # Errors
/// The own token, or the list of the others, cannot be read, or was open to others.
pub(super) fn doorkeeper(options: &DaemonOptions) -> anyhow::Result<Doorkeeper> {
    let own = Token::load_or_create(&options.token_file())?;
    let issued = IssuedTokens::open(&options.issued_tokens_file())
        .context("it is not known which tokens were issued")?;
    let doorkeeper = Doorkeeper::default().with_token(own).with_issued(Arc::new(issued));
    let doorkeeper = doorkeeper.with_limits(options.limits.quotas());
    let issuers = Issuers::new(options.oidc.iter().map(OidcConfig::rules).collect())?;
    let doorkeeper = match issuers.is_empty() {
        true => doorkeeper,
        false => doorkeeper.with_issuers(Arc::new(issuers)),
    };
    let (wallets, rules) = (&options.wallets, options.wallets.rules());
    if rules.is_nobody() {
        return Ok(doorkeeper);
    }
    let revoked = RevokedTokens::open(&options.revoked_tokens_file(), Timestamp::now())
        .context("it is not known which tokens of wallets were revoked")?;
    let accounts = Accounts::new(rules, &wallets.audience);
    let mut accounts = accounts.with_revoked(Arc::new(revoked));
    if let Some(site) = wallets.site()? {
        accounts = accounts.with_sign_in(Arc::new(SigningIn::new(site)));
    }
    Ok(doorkeeper.with_accounts(Arc::new(accounts)))
}

/// One that knows the same, but takes wallets' tokens for another audience, if there is one.
pub(super) fn for_audience(doorkeeper: &Doorkeeper, audience: Option<&str>) -> Doorkeeper {
    match (doorkeeper.accounts(), audience) {
        (Ok(accounts), Some(audience)) => {
            doorkeeper.clone().with_accounts(Arc::new(accounts.for_audience(audience)))
        }
        // Nobody is let in by a wallet, or all for the same.
        (Err(_), _) | (_, None) => doorkeeper.clone(),
    }
}

/// Writes down when tokens were used, every minute, as long as the daemon runs; and forgets what is over:
/// callers whose limits are whole again, and of wallets sessions, nonces and tokens that have expired.
pub(super) async fn keep_uses(doorkeeper: Doorkeeper) {
    loop {
        // Nobody waits for this: a list that is a minute old is what is promised.
        tokio::time::sleep(SAVED_EVERY).await;
        save_uses(&doorkeeper).await;
        doorkeeper.forget_what_is_over(Timestamp::now());
    }
}

/// The same, once more before the daemon ends; a disk that hangs does not keep it.
pub(super) async fn save_last_uses(doorkeeper: &Doorkeeper) {
    if tokio::time::timeout(SAVED_WITHIN, save_uses(doorkeeper)).await.is_err() {
        warn!("when tokens were last used could not be written down in time");
    }
}

/// Writes down when tokens and certificates were used, if any was since the last time.
async fn save_uses(doorkeeper: &Doorkeeper) {
    let doorkeeper = doorkeeper.clone();
    if let Ok(Err(failed)) = spawn_blocking(move || doorkeeper.save_uses()).await {
        warn!(%failed, "when tokens were last used is not written down");
    }
}
