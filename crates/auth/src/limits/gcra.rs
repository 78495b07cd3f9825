//! The generic cell rate algorithm: a rate and a burst, held in one number. Pure.
//!
//! The number is the *theoretical arrival time*: when the caller would be even if requests came at the rate and no
//! faster. Each admitted request moves it on by the interval between two; it may be ahead of now by a
//! window at most.

use super::quota::Quota;

/// What the quota says to one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It may pass; the number is this from now on.
    Pass { arrival: u64 },
    /// It may not, for so many nanoseconds.
    Wait { nanoseconds: u64 },
}

/// Judges a request at this time, in nanoseconds since whenever, of a caller whose number this is; zero of one who
/// never called.
pub(super) fn judge(quota: Quota, arrival: u64, now: u64) -> Answer {
    let interval = quota.interval();
    let burst = interval * u64::from(quota.requests());
    let next = arrival.max(now).saturating_add(interval);
    match next.saturating_sub(now).checked_sub(burst) {
        None | Some(0) => Answer::Pass { arrival: next },
        Some(nanoseconds) => Answer::Wait { nanoseconds },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quotas() -> impl Strategy<Value = Quota> {
        prop_oneof![
            (1_u32..2000).prop_map(Quota::per_second),
            (1_u32..2000).prop_map(Quota::per_minute)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whenever requests come, in no span of time more pass than the burst and what the rate makes room
        /// for in it.
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            quota in quotas(),
            pauses in prop::collection::vec(0_u64..2_000_000_000, 1..40),
            busy in 1_usize..30,
        ) {
            let (mut arrival, mut now, mut passed) = (0, 1_000_000, Vec::new());
            for pause in pauses {
                now += pause;
                for _ in 0..busy {
                    if let Answer::Pass { arrival: next } = judge(quota, arrival, now) {
                        arrival = next;
                        passed.push(now);
                    }
                }
            }
            for (first, since) in passed.iter().enumerate() {
                for (last, until) in passed.iter().enumerate().skip(first) {
                    let made_room = (until - since) / quota.interval();
                    let most = u64::from(quota.requests()) + made_room;
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }

        /// Who waits as long as was said passes, and not a moment earlier.
        #[test]
        fn who_waits_passes(quota in quotas(), now in 0_u64..1 << 50) {
            let mut arrival = 0;
            let nanoseconds = loop {
                match judge(quota, arrival, now) {
                    Answer::Pass { arrival: next } => arrival = next,
                    Answer::Wait { nanoseconds } => break nanoseconds,
                }
            };
            prop_assert!(nanoseconds <= quota.interval());
            let later = judge(quota, arrival, now + nanoseconds);
            let passes = matches!(later, Answer::Pass { .. });
            prop_assert!(passes);
            let earlier = judge(quota, arrival, now + nanoseconds - 1);
            let waits = matches!(earlier, Answer::Wait { .. });
            prop_assert!(waits);
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_at_a_time() {
        let quota = Quota::per_minute(100);
        let mut arrival = 0;
        let mut pass = |now: u64| match judge(quota, arrival, now * 1_000_000) {
            Answer::Pass { arrival: next } => {
                arrival = next;
                true
            }
            Answer::Wait { .. } => false,
        };
        assert_eq!((0..1000).filter(|_| pass(5)).count(), 100);
        assert!(!pass(604) && pass(605) && !pass(605));
        // Whoever kept still for long has no more than a burst.
        assert_eq!((0..1000).filter(|_| pass(10_000_000)).count(), 100);
    }
}
