//! Query strings: every parameter is one that the route knows, or the request is refused.

use axum::extract::FromRequestParts;
use http::request::Parts;
use innkeeper_model::{Code, Refusal};
use std::{convert::Infallible, fmt::Display, str::FromStr};

/// The parameters of a query, from which a route takes those it knows.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// What the route asked for, for the refusal of the rest.
    known: Vec<&'static str>,
}

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { pairs, known: Vec::new() }
    }

    /// A parameter that is given at most once; an empty one is as good as none.
    ///
    /// # Errors
    /// It is there twice.
    pub(crate) fn one(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        let mut values = self.all(name);
        let last = values.pop();
        if !values.is_empty() {
            return Err(Refusal::new(Code::InvalidField, format!("{name} is there twice")).at(name));
        }
        Ok(last.filter(|value| !value.is_empty()))
    }

    /// A parameter whose value has a type.
    ///
    /// # Errors
    /// It is there twice, or is no such value.
    pub(crate) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Refusal>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let value = text.parse().map_err(|problem| Refusal::invalid(name, &text, problem))?;
        Ok(Some(value))
    }

    /// A parameter that is `true` or `false`; false where absent.
    ///
    /// # Errors
    /// It is there twice, or is something else.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        match self.one(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Refusal::invalid(name, other, "is neither true nor false")
                .with_limit("true or false")),
        }
    }

    /// A parameter that is a list: given more than once, or with commas. `None` where it is absent.
    pub(crate) fn list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let values = self.all(name);
        let items = values.iter().flat_map(|value| value.split(','));
        let items: Vec<_> = items.filter(|item| !item.is_empty()).map(str::to_owned).collect();
        (!items.is_empty()).then_some(items)
    }

    /// The parameters whose names begin so, without that beginning.
    pub(crate) fn beginning(&mut self, prefix: &'static str) -> Vec<(String, String)> {
        self.known.push(prefix);
        let matching = self.pairs.extract_if(.., |(name, _)| name.starts_with(prefix));
        matching.map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Refuses what the route did not ask for: a misspelt filter must not answer with everything.
    ///
    /// # Errors
    /// There are more parameters.
    pub(crate) fn nothing_else(self) -> Result<(), Refusal> {
        let Some((name, value)) = self.pairs.into_iter().next() else {
            return Ok(());
        };
        let known = match self.known.as_slice() {
            [] => "no parameters".to_owned(),
            known => known.join(", "),
        };
        Err(Refusal::invalid(format!("?{name}"), value, "is not a parameter of this route")
            .with_limit(known))
    }

    fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        if self.pairs.is_empty() {
            return Vec::new();
        }
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.uri.query().map_or_else(Self::default, Self::parse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_by_name_and_nothing_is_left() {
        let mut params =
            Params::parse("state=running,paused&state=ended&limit=5&label.a%2Fb=c+d&x=");
        assert_eq!(params.list("state").unwrap(), ["running", "paused", "ended"]);
        assert_eq!(params.parsed("limit").unwrap(), Some(5_usize));
        assert_eq!(params.beginning("label."), [("a/b".to_owned(), "c d".to_owned())]);
        assert_eq!(params.one("x").unwrap(), None);
        assert!(!params.flag("force").unwrap());
        params.nothing_else().unwrap();
    }

    #[test]
    fn what_the_route_does_not_know_is_refused_with_what_it_knows() {
        let mut params = Params::parse("stat=running&limit=5");
        params.list("state");
        params.parsed::<usize>("limit").unwrap();
        let refusal = params.nothing_else().unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("?stat"));
        assert_eq!(refusal.value.as_deref(), Some("running"));
        assert_eq!(refusal.limit.as_deref(), Some("state, limit"));
    }

    #[test]
    fn values_that_are_not_what_they_should_be_are_refused() {
        let number = Params::parse("limit=many").parsed::<usize>("limit").unwrap_err();
        assert_eq!(number.value.as_deref(), Some("many"));
        assert!(Params::parse("force=yes").flag("force").is_err());
        assert!(Params::parse("name=a&name=b").one("name").is_err());
    }
}
