//! What a survey has put right, as the view tells it: network by network, and in bounds.

use innkeeper_model::{
    NetworkId, Timestamp,
    network::{MAX_MENDED, Mended},
};
use innkeeper_network::Finding;

/// What was put right of a network; `None` where nothing was. What was of the host, or of a network that is
/// not known any more, concerns all that there are.
pub(super) fn mended(
    network: NetworkId,
    findings: &[Finding],
    is_known: impl Fn(NetworkId) -> bool,
    at: Timestamp,
) -> Option<Mended> {
    let concerns = |finding: &&Finding| {
        let of = finding.network.filter(|of| is_known(*of));
        finding.mended && of.is_none_or(|of| of == network)
    };
    let mut what: Vec<String> =
        findings.iter().filter(concerns).map(|finding| finding.text.clone()).collect();
    let more = what.len().saturating_sub(MAX_MENDED);
    if more > 0 {
        what.truncate(MAX_MENDED);
        what.push(format!("and {more} more, which are in the daemon's log"));
    }
    (!what.is_empty()).then_some(Mended { at, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_is_told_what_concerns_it_and_no_more_than_a_reader_reads() {
        let [lan, other, gone] = [NetworkId::new(), NetworkId::new(), NetworkId::new()];
        let found = |network, text: &str| Finding { network, text: text.into(), mended: true };
        let findings = [
            found(None, "the rules"),
            found(Some(lan), "a tap"),
            found(Some(gone), "a server of nobody"),
            Finding { mended: false, ..found(Some(other), "no bridge") },
        ];
        let told = |network, findings: &[Finding]| {
            let mended = mended(network, findings, |id| id != gone, Timestamp::UNIX_EPOCH);
            mended.map(|mended| mended.what).unwrap_or_default()
        };
        assert_eq!(told(lan, &findings), ["the rules", "a tap", "a server of nobody"]);
        assert_eq!(told(other, &findings), ["the rules", "a server of nobody"]);
        assert!(told(other, &findings[3..]).is_empty(), "what is not mended is a problem");

        let taps: Vec<Finding> = (0..1000).map(|n| found(Some(lan), &format!("tap {n}"))).collect();
        let told = told(lan, &taps);
        assert_eq!(told.len(), MAX_MENDED + 1);
        assert!(told[MAX_MENDED].starts_with("and 992 more"), "{told:?}");
    }
}
