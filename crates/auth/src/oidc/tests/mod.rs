//! Tokens of an issuer that the test itself is.

mod issuer;
mod keys;
mod tokens;

use super::{ClaimGrant, IssuerRules, Issuers, keyring::Pace};
use crate::{NotAdmitted, Principal, Role};
use innkeeper_model::{Refusal, Timestamp};
use issuer::{Answers, SigningKey, TestIssuer};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// How long a test waits for what has to come.
const LONG: Duration = Duration::from_secs(30);
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// An issuer with a key, and who takes its tokens.
struct Bench {
    key: SigningKey,
    issuer: TestIssuer,
    issuers: Arc<Issuers>,
    keeping: JoinHandle<()>,
}

impl Bench {
    async fn of(key: SigningKey) -> Self {
        Self::at(key, Pace { again_after: Duration::ZERO, ..Pace::default() }).await
    }

    /// One that has been asked for its keys.
    async fn at(key: SigningKey, pace: Pace) -> Self {
        let bench = Self::begun(key, pace, |_| ()).await;
        let end = Instant::now() + LONG;
        while bench.issuers.each[0].keys.tried() == 0 {
            assert!(Instant::now() < end, "nobody asks");
            sleep(Duration::from_millis(1)).await;
        }
        bench
    }

    /// One that answers so from the start.
    async fn begun(key: SigningKey, pace: Pace, change: impl FnOnce(&mut Answers)) -> Self {
        let issuer = TestIssuer::new(&[key.published("one")]).await;
        issuer.answer(change);
        let rules = IssuerRules {
            name: "corp".into(),
            issuer: issuer.issuer.clone(),
            audience: "innkeeper".into(),
            user: "sub".into(),
            max_age: SignedDuration::from_secs(DAY),
            grants: vec![ClaimGrant {
                claim: "groups".into(),
                value: "staff".into(),
                role: Role::Operator,
                project: None,
                privileged: false,
            }],
            allow_http: false,
        };
        let issuers = Arc::new(Issuers::at_pace(vec![rules], pace).unwrap());
        let keeping = tokio::spawn({
            let issuers = Arc::clone(&issuers);
            async move { issuers.keep().await }
        });
        Self { key, issuer, issuers, keeping }
    }

    fn header(&self) -> Value {
        json!({ "alg": self.key.algorithm(), "kid": "one", "typ": "JWT" })
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.issuer, "aud": "innkeeper", "sub": "anna", "exp": NOW + 300, "iat": NOW,
            "groups": ["staff", "others"],
        })
    }

    /// A token as it has to be, but for what is changed of its header and claims.
    fn token(&self, header: &Value, claims: &Value) -> String {
        self.key.token(&merged(self.header(), header), &merged(self.claims(), claims))
    }

    /// Who shows this, once it can be known.
    async fn admit(&self, text: &str) -> Result<Principal, Refusal> {
        tokio::time::timeout(LONG, self.issuers.ready(text)).await.unwrap();
        self.admit_now(text).expect("it is a token of this issuer")
    }

    /// Who shows this, if it can be known at once; nobody knows of what is no token of this issuer.
    fn admit_now(&self, text: &str) -> Option<Result<Principal, Refusal>> {
        let admitted = self.issuers.admit(text, now(), || Ok(()))?;
        Some(admitted.map_err(|not| match not {
            NotAdmitted::Refused(refusal) => refusal,
            NotAdmitted::TooSoon(exceeded) => panic!("{exceeded:?}"),
        }))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// The first with what the second says in place of its own; `null` takes away.
fn merged(mut whole: Value, changes: &Value) -> Value {
    let object = whole.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(object.remove(name)),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
    whole
}
