//! The text that a wallet shows and signs, taken apart.
//!
//! Exactly the grammar of EIP-4361, nothing around it. A reader that is more generous than the wallet was
//! would let a page show one thing and mean another. Two of its rules are read narrowly: there must be a
//! domain, and the address must have its checksum.

use super::uri::{Authority, Uri, consists_of, is_scheme, is_sub_delimiter, is_unreserved};
use crate::wallet::Address;
use innkeeper_model::Timestamp;
use std::str::Split;

/// The longest message, in bytes. What is longer is not looked at.
pub const MAX_MESSAGE_LENGTH: usize = 4096;

const TITLE: &str = " wants you to sign in with your Ethereum account:";

/// Why a text is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It is longer than any that is looked at.
    #[error("it has more than {MAX_MESSAGE_LENGTH} bytes")]
    TooLong,
    /// Something is missing, at another place, or written in another way.
    #[error("its {0} is missing, not in its place, or not written as it has to be")]
    Malformed(&'static str),
    /// There is something after its end.
    #[error("there is something after its end, or a line that is not known there")]
    Trailing,
}

/// A message to sign in with, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The scheme before the domain.
    pub scheme: Option<&'a str>,
    /// Who asks: `host` or `host:port`.
    pub domain: &'a str,
    /// Whose signature this is to be.
    pub address: Address,
    /// What is said to the person who signs.
    pub statement: Option<&'a str>,
    /// What the sign-in is for.
    pub uri: &'a str,
    /// The chain of the account.
    pub chain_id: u64,
    /// At least 8 letters and digits.
    pub nonce: &'a str,
    /// When the message was made.
    pub issued: Timestamp,
    /// Until when it counts.
    pub expires: Option<Timestamp>,
    /// From when on it counts.
    pub not_before: Option<Timestamp>,
    /// A name of the request.
    pub request_id: Option<&'a str>,
    /// What else it is about.
    pub resources: Vec<&'a str>,
}

impl<'a> Message<'a> {
    /// Takes a message apart.
    ///
    /// # Errors
    /// It is not as the standard writes it, or too long.
    pub fn parse(text: &'a str) -> Result<Self, BadMessage> {
        if text.len() > MAX_MESSAGE_LENGTH {
            return Err(BadMessage::TooLong);
        }
        let mut lines = Lines::of(text);
        let (scheme, domain) = lines.next().and_then(title).ok_or(malformed("domain"))?;
        let address = lines.next().and_then(address).ok_or(malformed("address"))?;
        let statement = statement(&mut lines).ok_or(malformed("statement"))?;
        let uri = lines.field("URI", |text| Uri::parse(text).map(|_| text))?;
        lines.field("Version", |text| (text == "1").then_some(()))?;
        // The fields are read in this order, which is that of the lines.
        let message = Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain_id: lines.field("Chain ID", number)?,
            nonce: lines.field("Nonce", nonce)?,
            issued: lines.field("Issued At", time)?,
            expires: lines.optional("Expiration Time", time)?,
            not_before: lines.optional("Not Before", time)?,
            request_id: lines.optional("Request ID", request_id)?,
            resources: resources(&mut lines)?,
        };
        match lines.next() {
            None => Ok(message),
            Some(_) => Err(BadMessage::Trailing),
        }
    }
}

const fn malformed(what: &'static str) -> BadMessage {
    BadMessage::Malformed(what)
}

/// The lines of a message, of which the next one can be looked at.
struct Lines<'a> {
    next: Option<&'a str>,
    rest: Split<'a, char>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut rest = text.split('\n');
        Self { next: rest.next(), rest }
    }

    fn next(&mut self) -> Option<&'a str> {
        std::mem::replace(&mut self.next, self.rest.next())
    }

    /// What follows `name: ` in the next line.
    fn field<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<T, BadMessage> {
        self.optional(name, read)?.ok_or(malformed(name))
    }

    /// The same, if the next line is that one.
    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Option<T>, BadMessage> {
        let text = self.next.and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let Some(text) = text else { return Ok(None) };
        self.next();
        read(text).map(Some).ok_or(malformed(name))
    }
}

/// `[ scheme "://" ] domain`, and the words after it.
fn title(line: &str) -> Option<(Option<&str>, &str)> {
    let origin = line.strip_suffix(TITLE)?;
    let (scheme, domain) = match origin.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, origin),
    };
    let authority = Authority::parse(domain)?;
    (!authority.host.is_empty() && scheme.is_none_or(is_scheme)).then_some((scheme, domain))
}

fn address(line: &str) -> Option<Address> {
    let address: Address = line.parse().ok()?;
    (address.to_string() == line).then_some(address)
}

/// An empty line, a statement or none, and an empty line. One that is empty is one, too.
fn statement<'a>(lines: &mut Lines<'a>) -> Option<Option<&'a str>> {
    if !lines.next()?.is_empty() {
        return None;
    }
    let line = lines.next()?;
    if line.is_empty() && lines.next != Some("") {
        return Some(None);
    }
    let is_legal =
        |byte: u8| is_unreserved(byte) || is_sub_delimiter(byte) || b":/?#[]@ ".contains(&byte);
    (line.bytes().all(is_legal) && lines.next()?.is_empty()).then_some(Some(line))
}

fn number(text: &str) -> Option<u64> {
    // A sign is not among the digits of the grammar, but is among those of Rust.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn nonce(text: &str) -> Option<&str> {
    let is_legal = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_legal.then_some(text)
}

/// `*pchar`
fn request_id(text: &str) -> Option<&str> {
    consists_of(text, b":@").then_some(text)
}

fn resources<'a>(lines: &mut Lines<'a>) -> Result<Vec<&'a str>, BadMessage> {
    let mut resources = Vec::new();
    if lines.next != Some("Resources:") {
        return Ok(resources);
    }
    lines.next();
    while let Some(line) = lines.next() {
        let uri = line.strip_prefix("- ").filter(|uri| Uri::parse(uri).is_some());
        resources.push(uri.ok_or(malformed("Resources"))?);
    }
    Ok(resources)
}

/// A `date-time` of RFC 3339, with up to nine digits of a second's fraction.
fn time(text: &str) -> Option<Timestamp> {
    // What is parsed below is more: spaces, weeks, offsets with seconds, time zones' names.
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (start, rest) = text.split_at_checked(SHAPE.len())?;
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(shape),
    };
    let offset = match rest.strip_prefix('.') {
        Some(rest) => rest.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    let is_offset = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h, i, b':', m, n] => [h, i, m, n].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    (start.bytes().zip(SHAPE).all(fits) && is_offset).then(|| text.parse().ok())?
}
