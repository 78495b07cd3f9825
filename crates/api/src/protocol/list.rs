//! Lists: a copy of the records' cached encodings, in chunks.
//!
//! A list is made while it is sent: the first chunk goes out before the last record is looked at, and
//! what is held in memory is a chunk, not the list. Everything in it is of one snapshot. A page ends
//! with a cursor, which names the last record shown; since records keep their place in the order, the
//! next page goes on there, whatever came or went meanwhile.

use crate::protocol::{
    answer::{self, Shown},
    fields::Fields,
    params::Params,
};
use axum::{body::Body, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::stream;
use imbl::OrdMap;
use innkeeper_model::{Refusal, Revision};
use innkeeper_surface::Sight;
use innkeeper_view::Record;
use std::{
    convert::Infallible,
    fmt::Display,
    ops::Bound::{Excluded, Unbounded},
    str::FromStr,
    sync::Arc,
};

/// The size at which the first chunk is sent, in bytes: the reader is to have something at once.
const FIRST_CHUNK: usize = 16 << 10;
/// The size at which the other chunks are sent, in bytes: large enough that what a chunk costs does
/// not show, and small enough to stay in the processor's cache between here and the socket.
const CHUNK: usize = 64 << 10;
/// Room for the record that makes a chunk full, so that it is seldom moved.
const OVERSHOOT: usize = 4 << 10;
/// The most records on a page.
const MAX_LIMIT: usize = 100_000;

/// In which order records are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By their keys.
    Ascending,
    /// By their keys, backwards.
    Descending,
}

/// The page that a caller asks for.
#[derive(Debug)]
pub(crate) struct Page<K> {
    limit: usize,
    after: Option<K>,
}

impl<K: FromStr + Display> Page<K> {
    /// `limit` and `after`; everything, where neither is given.
    ///
    /// # Errors
    /// The limit is none, or the cursor is not one that a page of this kind ended with.
    pub(crate) fn parse(params: &mut Params) -> Result<Self, Refusal> {
        let limit = params.parsed("limit")?;
        if let Some(limit) = limit.filter(|limit| !(1..=MAX_LIMIT).contains(limit)) {
            let range = format!("1..={MAX_LIMIT}");
            let problem = format!("is not in {range}");
            return Err(Refusal::invalid("limit", limit, problem).with_limit(range));
        }
        let after = match params.one("after")? {
            Some(cursor) => Some(parse_cursor(&cursor)?),
            None => None,
        };
        Ok(Self { limit: limit.unwrap_or(usize::MAX), after })
    }
}

impl<K> Page<K> {
    /// Everything.
    pub(crate) const fn whole() -> Self {
        Self { limit: usize::MAX, after: None }
    }
}

fn cursor(key: &impl Display) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

fn parse_cursor<K: FromStr>(cursor: &str) -> Result<K, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Refusal::invalid("after", cursor, "is not a cursor of this list")
            .with_hint("use the \"next\" of the page before")
    })
}

impl<K: Display> Page<K> {
    /// The page of things that are no records of the view, but have keys in order: what is on it, and
    /// what to give as `after` for the next.
    pub(crate) fn of<T>(
        self,
        all: impl Iterator<Item = T>,
        key: impl Fn(&T) -> K,
    ) -> (Vec<T>, Option<String>)
    where
        K: Ord,
    {
        let mut left =
            all.filter(|thing| self.after.as_ref().is_none_or(|after| key(thing) > *after));
        let page: Vec<T> = left.by_ref().take(self.limit).collect();
        let next = left.next().and(page.last()).map(|last| cursor(&key(last)));
        (page, next)
    }
}

/// Which records are in the list.
type Filter<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;

/// Records of one snapshot, those of them that somebody sees, as the elements of a JSON array.
pub(crate) struct Rows<K, T> {
    records: OrdMap<K, Arc<Record<T>>>,
    sight: Sight,
    order: Order,
    filter: Option<Filter<T>>,
    fields: Option<Fields>,
    after: Option<K>,
    left: usize,
    first: bool,
}

/// Where the rows have come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more.
    More,
    /// The page is full, and there are more records after it.
    PageFull,
    /// There are no more records.
    AtEnd,
}

impl<K, T> Rows<K, T>
where
    K: Ord + Clone,
    T: Shown,
{
    /// This page of the records, for whoever sees so much of them; in ascending order.
    pub(crate) fn new(records: &OrdMap<K, Arc<Record<T>>>, page: Page<K>, sight: &Sight) -> Self {
        Self {
            records: records.clone(),
            sight: sight.clone(),
            order: Order::Ascending,
            filter: None,
            fields: None,
            after: page.after,
            left: page.limit,
            first: true,
        }
    }

    /// In this order.
    pub(crate) fn ordered(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Only those.
    pub(crate) fn only(mut self, filter: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// With these fields.
    pub(crate) fn showing(mut self, fields: Option<Fields>) -> Self {
        self.fields = fields;
        self
    }

    /// Appends rows, with commas between, until the chunk has this size.
    pub(crate) fn fill(&mut self, chunk: &mut Vec<u8>, size: usize) -> Progress {
        let records = self.records.clone();
        let shown = self.after.clone().map_or(Unbounded, Excluded);
        match self.order {
            Order::Ascending => self.append(records.range((shown, Unbounded)), chunk, size),
            Order::Descending => self.append(records.range((Unbounded, shown)).rev(), chunk, size),
        }
    }

    fn append<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a K, &'a Arc<Record<T>>)>,
        chunk: &mut Vec<u8>,
        size: usize,
    ) -> Progress
    where
        K: 'a,
        T: 'a,
    {
        let mut last = None;
        let mut progress = Progress::AtEnd;
        for (key, record) in records {
            if !record.is_there(&self.sight) {
                continue;
            }
            if self.filter.as_ref().is_some_and(|filter| !filter(record)) {
                continue;
            }
            if self.left == 0 {
                progress = Progress::PageFull;
                break;
            }
            if chunk.len() >= size {
                progress = Progress::More;
                break;
            }
            self.left -= 1;
            if !std::mem::take(&mut self.first) {
                chunk.push(b',');
            }
            match &self.fields {
                None => chunk.extend_from_slice(&answer::seen(record, &self.sight)),
                Some(fields) => chunk.extend_from_slice(&self.chosen(record, fields)),
            }
            last = Some(key);
        }
        if let Some(last) = last {
            self.after = Some(last.clone());
        }
        progress
    }
}

impl<K, T: Shown> Rows<K, T> {
    /// Some fields of a record.
    fn chosen(&self, record: &Record<T>, fields: &Fields) -> Bytes {
        match record.narrowed(&self.sight) {
            None => answer::encode(&fields.of(&record.shown())),
            Some(narrowed) => answer::encode(&fields.of(&narrowed.shown())),
        }
    }
}

/// The answer with a list: `{"items":[…],"revision":N,"next":"…"}`.
pub(crate) fn answer<K, T>(revision: Revision, rows: Rows<K, T>) -> Response
where
    K: Ord + Clone + Display + Send + Sync + 'static,
    T: Shown + Send + Sync + 'static,
{
    let mut chunks = Chunks { rows: Some(rows), revision, size: FIRST_CHUNK, begun: false };
    let first = chunks.next().unwrap_or_default();
    if chunks.rows.is_none() {
        // All of it: with its length, and without a stream.
        return answer::json(revision, first);
    }
    let chunks = std::iter::once(first).chain(chunks).map(Ok::<_, Infallible>);
    answer::json(revision, Body::from_stream(stream::iter(chunks)))
}

struct Chunks<K, T> {
    /// None when all has been made.
    rows: Option<Rows<K, T>>,
    revision: Revision,
    size: usize,
    begun: bool,
}

impl<K, T> Iterator for Chunks<K, T>
where
    K: Ord + Clone + Display,
    T: Shown,
{
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let rows = self.rows.as_mut()?;
        let mut chunk = Vec::with_capacity(self.size + OVERSHOOT);
        if !std::mem::replace(&mut self.begun, true) {
            chunk.extend_from_slice(b"{\"items\":[");
        }
        let progress = rows.fill(&mut chunk, self.size);
        self.size = CHUNK;
        if progress != Progress::More {
            chunk.extend_from_slice(format!("],\"revision\":{}", self.revision).as_bytes());
            if let (Progress::PageFull, Some(last)) = (progress, &rows.after) {
                chunk.extend_from_slice(format!(",\"next\":\"{}\"", cursor(last)).as_bytes());
            }
            chunk.push(b'}');
            self.rows = None;
        }
        Some(chunk.into())
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
