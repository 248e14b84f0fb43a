//! The forms of a tenant: which there are, and the bundle that tablets fetch.

use crate::problem::ApiError;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use storage::Store;
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{self, Form};
use sync_protocol::id::{RecordType, Tenant};

/// The forms of one tenant at one moment.
#[derive(Debug)]
pub struct FormBook {
    current: BTreeMap<RecordType, Form>,
    /// `sha256:` and the hash of the list of current forms.
    pub bundle: String,
    /// What `GET /v1/bundles/{hash}` answers.
    pub bundle_json: String,
}

impl FormBook {
    /// Puts a book together from the newest version of each form.
    pub fn new(forms: Vec<Form>) -> Self {
        let current: BTreeMap<RecordType, Form> =
            forms.into_iter().map(|form| (form.kind.clone(), form)).collect();
        let (bundle, bundle_json) = form::bundle(&current.values().collect::<Vec<_>>());
        Self { current, bundle, bundle_json }
    }

    /// The newest version of the form of this kind.
    pub fn form(&self, kind: &RecordType) -> Option<&Form> {
        self.current.get(kind)
    }

    /// The kinds that there are.
    pub fn kinds(&self) -> impl Iterator<Item = &RecordType> {
        self.current.keys()
    }
}

/// How long a book is used before the store is asked whether it changed: another process may publish a form.
pub(super) const BOOK_AGE_MAX_MS: i64 = 5_000;

/// The books of all tenants, read from the store when they are first needed.
#[derive(Debug, Default)]
pub struct Library {
    books: RwLock<BTreeMap<Tenant, (UnixMillis, Arc<FormBook>)>>,
}

impl Library {
    /// The book of a tenant, at most [`BOOK_AGE_MAX_MS`] old.
    pub async fn book(
        &self,
        store: &Store,
        tenant: &Tenant,
        now: UnixMillis,
    ) -> Result<Arc<FormBook>, ApiError> {
        let known = self.books.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        match known {
            Some((read_at, book)) if (0..BOOK_AGE_MAX_MS).contains(&now.since(read_at)) => Ok(book),
            Some(_) | None => self.reload(store, tenant, now).await,
        }
    }

    /// Reads the book of a tenant anew: after a form was published, and when a bundle is asked for that is not known.
    pub async fn reload(
        &self,
        store: &Store,
        tenant: &Tenant,
        now: UnixMillis,
    ) -> Result<Arc<FormBook>, ApiError> {
        let rows = store.read().await?.forms().current(tenant).await?;
        let mut forms = Vec::with_capacity(rows.len());
        for row in rows {
            let text = String::from_utf8(row.body).map_err(ApiError::caused)?;
            forms.push(Form::parse(&text).map_err(ApiError::caused)?);
        }
        let book = Arc::new(FormBook::new(forms));
        let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
        books.insert(tenant.clone(), (now, Arc::clone(&book)));
        Ok(book)
    }
}
