//! Owners, as requests name them.

use innkeeper_model::{ProjectName, Refusal};

/// The project of an owner. Wallets' addresses are one whatever the case of their letters.
///
/// # Errors
/// It can be none.
pub(super) fn project(owner: &str) -> Result<ProjectName, Refusal> {
    let address = owner.strip_prefix("0x").or_else(|| owner.strip_prefix("0X"));
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match address {
        Some(digits) if digits.len() == 40 && is_hex(digits) => {
            format!("0x{}", digits.to_ascii_lowercase())
        }
        _ => owner.to_owned(),
    };
    name.parse().map_err(|problem| Refusal::invalid("owner", owner, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_owner_however_it_is_written() {
        let lower = project("0x1234567890abcdef1234567890abcdef12345678").unwrap();
        assert_eq!(project("0X1234567890ABCDEF1234567890abcdef12345678").unwrap(), lower);
        assert_eq!(lower.as_str(), "0x1234567890abcdef1234567890abcdef12345678");
        assert_eq!(project("Team-1").unwrap().as_str(), "Team-1");
        for nobody in ["", "../etc", "a b", "0x/"] {
            assert_eq!(project(nobody).unwrap_err().field.as_deref(), Some("owner"), "{nobody:?}");
        }
    }
}
