//! A snapshot made ready: keys in a hash map, credentials opened into headers, pools, counters, everything a request would
//! otherwise have to look up or build. Prepared aside and swapped in whole; a snapshot that cannot be prepared changes
//! nothing.

pub mod address;
pub mod live;
pub mod provider;
pub mod route;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use headgate_snapshot::sealed::KeyDigester;
use headgate_snapshot::{Caller, KeyedDigest, ModelTable, ObjectName, SealingKey, Snapshot};

use crate::identity::clouds::Clouds;
use crate::metrics::Metrics;
use crate::upstream::address::AddressPolicy;
use provider::{Means, PrepareProviderError, PreparedProvider};
use route::PreparedRoute;

/// Looked up for each request by names that callers write. Keys come from the configuration only, so nobody can fill one
/// bucket on purpose, and a hash that is quick on short text will do.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What one request meets, from its key to its last byte.
pub struct Runtime {
    /// The snapshot's root digest.
    pub version: String,
    /// When it was prepared, Unix seconds: the `created` of the models it lists.
    pub prepared_at_unix_seconds: u64,
    /// Turns tokens into what `keys` is looked up by.
    pub digester: KeyDigester,
    /// Callers by the keyed digest of their tokens.
    pub keys: HashMap<KeyedDigest, PreparedKey, BuildHasherDefault<DigestHasher>>,
    /// Names by the namespace of the caller.
    pub tables: Map<String, ModelTable>,
    /// Routes by the name of their RoutePolicy.
    pub routes: Map<ObjectName, Arc<PreparedRoute>>,
    /// Providers.
    pub providers: Map<ObjectName, Arc<PreparedProvider>>,
}

/// One token's way to its caller.
pub struct PreparedKey {
    /// Who holds it.
    pub caller: Arc<PreparedCaller>,
    /// The end of a rotation's overlap, Unix seconds.
    pub not_after: Option<i64>,
}

/// A virtual key, named.
pub struct PreparedCaller {
    /// The VirtualKey.
    pub name: ObjectName,
    /// What it allows.
    pub record: Caller,
}

/// What the installation says, and no manifest can.
#[derive(Clone, Copy)]
pub struct Installation<'a> {
    /// Which addresses providers may have.
    pub addresses: AddressPolicy,
    /// Who the pod is at the clouds.
    pub clouds: &'a Clouds,
}

/// Why a snapshot cannot be served. The last good one stays.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A provider cannot be prepared.
    #[error("LLMProvider {name}: {source}")]
    Provider {
        /// Which.
        name: ObjectName,
        /// Why.
        source: Box<PrepareProviderError>,
    },
    /// A record names one that is not there: the snapshot is not whole.
    #[error("{from} names {to}, which the snapshot does not hold")]
    Dangling {
        /// Who names it.
        from: String,
        /// What is missing.
        to: String,
    },
    /// Two callers share a digest; `compile` never lets that through.
    #[error("VirtualKey {0} has a digest that another one has too")]
    SharedDigest(ObjectName),
}

impl Runtime {
    /// Makes a snapshot ready. Connections and tokens of providers that did not change are taken over from `previous`.
    pub fn prepare(
        snapshot: Snapshot,
        version: String,
        sealing_key: &SealingKey,
        installation: Installation<'_>,
        metrics: &Metrics,
        previous: Option<&Self>,
        now_unix_seconds: u64,
    ) -> Result<Self, PrepareError> {
        let Snapshot {
            providers,
            credentials,
            routes,
            models,
            callers,
        } = snapshot;
        let mut prepared_providers = Map::default();
        let means = Means {
            credentials: &credentials,
            sealing_key,
            installation,
            metrics,
        };
        for (name, record) in providers {
            let before = previous.and_then(|runtime| runtime.providers.get(&name));
            let prepared =
                PreparedProvider::prepare(&name, record, &means, before.map(AsRef::as_ref)).map_err(|source| {
                    PrepareError::Provider {
                        name: name.clone(),
                        source: Box::new(source),
                    }
                })?;
            prepared_providers.insert(name, Arc::new(prepared));
        }
        let mut prepared_routes = Map::default();
        for (name, record) in routes {
            let prepared = PreparedRoute::prepare(&name, record, &prepared_providers)?;
            prepared_routes.insert(name, Arc::new(prepared));
        }
        for (namespace, table) in &models {
            check_table(namespace, table, &prepared_routes, &prepared_providers)?;
        }
        Ok(Self {
            version,
            prepared_at_unix_seconds: now_unix_seconds,
            digester: sealing_key.digester(),
            keys: prepare_keys(callers)?,
            tables: models.into_iter().collect(),
            routes: prepared_routes,
            providers: prepared_providers,
        })
    }
}

fn prepare_keys(
    callers: std::collections::BTreeMap<ObjectName, Caller>,
) -> Result<HashMap<KeyedDigest, PreparedKey, BuildHasherDefault<DigestHasher>>, PrepareError> {
    let mut keys: HashMap<_, _, BuildHasherDefault<DigestHasher>> = HashMap::default();
    keys.reserve(callers.len());
    for (name, record) in callers {
        let caller = Arc::new(PreparedCaller { name, record });
        for entry in &caller.record.keys {
            let key = PreparedKey {
                caller: Arc::clone(&caller),
                not_after: entry.not_after,
            };
            if keys.insert(entry.digest, key).is_some() {
                return Err(PrepareError::SharedDigest(caller.name.clone()));
            }
        }
    }
    Ok(keys)
}

fn check_table(
    namespace: &str,
    table: &ModelTable,
    routes: &Map<ObjectName, Arc<PreparedRoute>>,
    providers: &Map<ObjectName, Arc<PreparedProvider>>,
) -> Result<(), PrepareError> {
    let ModelTable {
        routes_exact,
        routes_by_prefix,
        route_for_any,
        declared,
        providers: addressed,
        unavailable: _,
        unavailable_providers: _,
        shared,
    } = table;
    let dangling = |to: String| PrepareError::Dangling {
        from: format!("the model table of namespace {namespace}"),
        to,
    };
    for name in routes_exact
        .values()
        .chain(routes_by_prefix.values())
        .chain(route_for_any)
    {
        if !routes.contains_key(name) {
            return Err(dangling(format!("RoutePolicy {name}")));
        }
    }
    for name in declared.values().flatten().chain(addressed.values()) {
        if !providers.contains_key(name) {
            return Err(dangling(format!("LLMProvider {name}")));
        }
    }
    shared
        .iter()
        .try_for_each(|table| check_table(namespace, table, routes, providers))
}

/// A digest is already evenly spread and cannot be chosen without the sealing key: its first eight bytes are the hash.
#[derive(Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}
