//! Addresses of Ethereum accounts.

use super::hex;
use innkeeper_model::ProjectName;
use k256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// The address of an Ethereum account: who a wallet's caller is. Two are the same if their 20 bytes are,
/// however they were written.
///
/// It is written with the capitals of its checksum (EIP-55). It is read in lower case, in upper case, or
/// with the right capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^0x[0-9A-Fa-f]{40}$")]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It has another form.
    #[error("an address is 0x and 40 hexadecimal digits")]
    Form,
    /// It has capitals and small letters, but not where its digits want them.
    #[error(
        "the address has not the capitals of its checksum (EIP-55), so a digit may be wrong; \
         in small letters alone it has no checksum"
    )]
    Checksum,
}

impl Address {
    /// The address with these bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The account of a key: the last 20 bytes of the Keccak-256 of its point.
    pub(super) fn of_key(key: &VerifyingKey) -> Self {
        let point = key.to_sec1_point(false);
        // Without the first byte, which says that both coordinates follow.
        let hash: [u8; 32] = Keccak256::digest(&point.as_bytes()[1..]).into();
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        Self(address)
    }

    /// The project that this account's VMs are filed under: its address in lower case.
    pub fn project(&self) -> ProjectName {
        let name = format!("0x{}", hex::encode(&self.0));
        name.parse().expect("42 letters and digits are a name")
    }
}

/// With the capitals of its checksum: a letter is large if the digit at its place in the hash of the lower
/// case digits is 8 or more.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(&self.0);
        let hash: [u8; 32] = Keccak256::digest(digits.as_bytes()).into();
        let large = |at: usize| (hash[at / 2] >> (4 * (1 - at % 2))) & 8 != 0;
        let cased = |(at, digit): (usize, char)| {
            if large(at) { digit.to_ascii_uppercase() } else { digit }
        };
        let text: String = "0x".chars().chain(digits.chars().enumerate().map(cased)).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let digits = text.strip_prefix("0x").ok_or(NotAnAddress::Form)?;
        let address = hex::decode(digits).map(Self).ok_or(NotAnAddress::Form)?;
        let any = |is: fn(&u8) -> bool| digits.as_bytes().iter().any(is);
        let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
        if mixed && address.to_string() != text {
            return Err(NotAnAddress::Checksum);
        }
        Ok(address)
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test cases of EIP-55: all caps, all lower, normal.
    const EIP_55: [&str; 8] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn the_addresses_of_eip_55_are_written_as_there() {
        for text in EIP_55 {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(serde_json::to_string(&address).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Address>(&format!("{text:?}")).unwrap(), address);
        }
    }

    #[test]
    fn an_address_is_its_bytes_however_it_is_written() {
        for text in EIP_55 {
            let digits = &text[2..];
            let lower = format!("0x{}", digits.to_lowercase());
            let upper = format!("0x{}", digits.to_uppercase());
            let address: Address = text.parse().unwrap();
            assert_eq!(lower.parse(), Ok(address));
            assert_eq!(upper.parse(), Ok(address));
            assert_eq!(address.project().as_str(), lower);
        }
    }

    #[test]
    fn a_letter_of_the_wrong_size_is_noticed() {
        for text in &EIP_55[4..] {
            for at in (2..42).filter(|&at| text.as_bytes()[at].is_ascii_alphabetic()) {
                let mut wrong = text.as_bytes().to_vec();
                wrong[at] ^= 0x20;
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(wrong.parse::<Address>(), Err(NotAnAddress::Checksum), "{wrong}");
            }
        }
    }

    #[test]
    fn nothing_else_is_an_address() {
        let digits = &EIP_55[2][2..];
        for wrong in [
            "",
            "0x",
            digits,
            &format!("0X{digits}"),
            &format!("0x{digits}0"),
            &format!("0x{}", &digits[1..]),
            &format!("0x{}g", &digits[1..]),
            &format!(" 0x{digits}"),
            &format!("0x{digits}\n"),
            &format!("0x{}é", &digits[2..]),
        ] {
            assert_eq!(wrong.parse::<Address>(), Err(NotAnAddress::Form), "{wrong:?}");
            assert!(serde_json::from_value::<Address>(wrong.into()).is_err());
        }
    }
}
