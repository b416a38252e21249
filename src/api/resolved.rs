//! What a spec means: only what its pattern allows, every default filled in.
//!
//! A Tenant is parsed once; after that, illegal states cannot be written down. The API server has
//! refused them already, unless the object was stored before the rule existed.
//!
//! A field that is left out and one that has its default written down mean the same here, and so they do to the rules that
//! keep fields from changing.

use super::placement::{PLACEMENTS, STACK_REF_REQUIRED};
use super::tags::Tags;
use super::{
    Column, DataDeletionPolicy, Distance, Documents, DocumentsSettings, Encryption, EncryptionSettings,
    Index, IndexSettings, Ingestion, IngestionSettings, Invalid, KnowledgeBase, KnowledgeBaseSettings,
    NamespaceSelector, Pattern, PoolSpec, SharedStackSpec, Sidecars, StoreSettings, Tenant, TenantSpec,
    VectorStore,
};

/// Said of a spec that leaves its pattern to a class, which has not said it.
const PATTERN_REQUIRED: &str = "`pattern` is required, or a class that places the Tenant";

/// What a Tenant asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Isolation {
    Silo(Silo),
    Bridge(Bridge),
    Pool(Pool),
}

/// Everything is the tenant's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Silo {
    pub encryption: EncryptionSettings,
    pub documents: DocumentsSettings,
    pub vector_store: StoreSettings,
    pub knowledge_base: KnowledgeBaseSettings,
    pub index: IndexSettings,
    pub data_deletion_policy: DataDeletionPolicy,
    pub ingestion: IngestionSettings,
    pub tags: Tags,
}

/// A knowledge base of its own in a shared stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Bridge {
    pub stack: String,
    pub knowledge_base: KnowledgeBaseSettings,
    pub index: IndexSettings,
    pub data_deletion_policy: DataDeletionPolicy,
    pub ingestion: IngestionSettings,
    pub tags: Tags,
}

/// A prefix and a filter in a shared knowledge base.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    pub stack: String,
}

/// What a SharedStack asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub allowed_namespaces: Option<NamespaceSelector>,
    pub encryption: EncryptionSettings,
    pub documents: DocumentsSettings,
    pub vector_store: StoreSettings,
    pub pool: Option<PoolSettings>,
    pub tags: Tags,
}

/// What Pool tenants share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolSettings {
    pub tenant_id_key: String,
    pub knowledge_base: KnowledgeBaseSettings,
    pub index: IndexSettings,
    pub ingestion: IngestionSettings,
    pub sidecars: Sidecars,
}

impl Isolation {
    pub fn pattern(&self) -> Pattern {
        match self {
            Isolation::Silo(_) => Pattern::Silo,
            Isolation::Bridge(_) => Pattern::Bridge,
            Isolation::Pool(_) => Pattern::Pool,
        }
    }

    /// The knowledge base that it owns.
    pub fn knowledge_base(&self) -> Option<&KnowledgeBaseSettings> {
        match self {
            Isolation::Silo(silo) => Some(&silo.knowledge_base),
            Isolation::Bridge(bridge) => Some(&bridge.knowledge_base),
            Isolation::Pool(_) => None,
        }
    }

    /// How the documents of the knowledge base that it owns are ingested.
    pub fn ingestion(&self) -> Option<&IngestionSettings> {
        match self {
            Isolation::Silo(silo) => Some(&silo.ingestion),
            Isolation::Bridge(bridge) => Some(&bridge.ingestion),
            Isolation::Pool(_) => None,
        }
    }

    /// How the bucket and the vector store that it owns are encrypted.
    pub fn encryption(&self) -> Option<&EncryptionSettings> {
        match self {
            Isolation::Silo(silo) => Some(&silo.encryption),
            Isolation::Bridge(_) | Isolation::Pool(_) => None,
        }
    }

    /// Which vector store it owns, if it owns one.
    pub fn vector_store(&self) -> Option<VectorStore> {
        match self {
            Isolation::Silo(silo) => Some(silo.vector_store.kind()),
            Isolation::Bridge(_) | Isolation::Pool(_) => None,
        }
    }

    /// The user's tags on what it owns.
    pub fn tags(&self) -> Option<&Tags> {
        match self {
            Isolation::Silo(silo) => Some(&silo.tags),
            Isolation::Bridge(bridge) => Some(&bridge.tags),
            Isolation::Pool(_) => None,
        }
    }

    /// The SharedStack that it borrows from.
    pub fn stack(&self) -> Option<&str> {
        match self {
            Isolation::Silo(_) => None,
            Isolation::Bridge(Bridge { stack, .. }) | Isolation::Pool(Pool { stack }) => Some(stack),
        }
    }
}

impl Shared {
    /// Its column of the ownership table.
    pub fn column(&self) -> Column {
        match self.pool {
            Some(_) => Column::SharedStackWithPool,
            None => Column::SharedStack,
        }
    }

    /// Whether Tenants of a namespace with these labels may borrow.
    pub fn admits(&self, namespace_labels: &std::collections::BTreeMap<String, String>) -> bool {
        self.allowed_namespaces.as_ref().is_none_or(|selector| selector.matches(namespace_labels))
    }
}

impl Tenant {
    /// What this Tenant asks for.
    pub fn isolation(&self) -> Result<Isolation, Invalid> {
        self.spec.isolation()
    }
}

impl TenantSpec {
    /// What this spec asks for.
    pub fn isolation(&self) -> Result<Isolation, Invalid> {
        let pattern = self.pattern.ok_or_else(|| Invalid::new("pattern", PATTERN_REQUIRED))?;
        if let Some(placement) = PLACEMENTS
            .iter()
            .find(|placement| self.sets(placement.field) && !placement.patterns.contains(&pattern))
        {
            return Err(Invalid::new(placement.field, placement.instead));
        }
        let stack = || match &self.stack_ref {
            Some(stack) => Ok(stack.name.clone()),
            None => Err(Invalid::new("stackRef", STACK_REF_REQUIRED)),
        };
        let knowledge_base = || KnowledgeBase::resolve(self.knowledge_base.as_ref());
        // Which store a Bridge tenant borrows is not said here; both have what is usual in one.
        let usual = self.vector_store.unwrap_or_default().usual_distance();
        let index = Index::resolve(self.index.as_ref(), usual);
        let data_deletion_policy = self.data_deletion_policy.unwrap_or_default();
        let ingestion = Ingestion::resolve(self.ingestion.as_ref());
        let tags = self.tags.clone();
        Ok(match pattern {
            Pattern::Silo => Isolation::Silo(Silo {
                encryption: Encryption::resolve(self.encryption.as_ref())?,
                documents: Documents::resolve(self.documents.as_ref()),
                vector_store: self.own_store()?,
                knowledge_base: knowledge_base()?,
                index,
                data_deletion_policy,
                ingestion,
                tags,
            }),
            Pattern::Bridge => Isolation::Bridge(Bridge {
                stack: stack()?,
                knowledge_base: knowledge_base()?,
                index,
                data_deletion_policy,
                ingestion,
                tags,
            }),
            Pattern::Pool => Isolation::Pool(Pool { stack: stack()? }),
        })
    }

    /// A Silo's vector store, if that can do what is asked of it.
    fn own_store(&self) -> Result<StoreSettings, Invalid> {
        let store = StoreSettings::resolve(self.vector_store, self.collection.as_ref())?;
        store.kind().serves(self.index.as_ref(), self.knowledge_base.as_ref())?;
        Ok(store)
    }

    /// Whether a field of the placement table is set. Taken apart without `..`, so that a new field is
    /// given a place.
    fn sets(&self, field: &str) -> bool {
        let TenantSpec {
            tenant_id: _,
            class_ref: _,
            pattern: _,
            stack_ref,
            knowledge_base,
            index,
            data_deletion_policy,
            ingestion,
            encryption,
            documents,
            vector_store,
            collection,
            answers: _,
            tags,
            deletion_policy: _,
        } = self;
        match field {
            "stackRef" => stack_ref.is_some(),
            "knowledgeBase" => knowledge_base.is_some(),
            "index" => index.is_some(),
            "dataDeletionPolicy" => data_deletion_policy.is_some(),
            "ingestion" => ingestion.is_some(),
            "encryption" => encryption.is_some(),
            "documents" => documents.is_some(),
            "vectorStore" => vector_store.is_some(),
            "collection" => collection.is_some(),
            "tags" => !tags.is_empty(),
            _ => false,
        }
    }
}

impl SharedStackSpec {
    /// What this spec asks for.
    pub fn shared(&self) -> Result<Shared, Invalid> {
        let vector_store = StoreSettings::resolve(self.vector_store, self.collection.as_ref())?;
        let usual = vector_store.kind().usual_distance();
        if let Some(PoolSpec { index, knowledge_base, .. }) = &self.pool {
            let served = vector_store.kind().serves(index.as_ref(), knowledge_base.as_ref());
            served.map_err(|e| e.within("pool"))?;
        }
        Ok(Shared {
            allowed_namespaces: self.allowed_namespaces.clone(),
            encryption: Encryption::resolve(self.encryption.as_ref())?,
            documents: Documents::resolve(self.documents.as_ref()),
            vector_store,
            pool: self
                .pool
                .as_ref()
                .map(|pool| pool.resolve(usual))
                .transpose()
                .map_err(|e| e.within("pool"))?,
            tags: self.tags.clone(),
        })
    }
}

impl PoolSpec {
    fn resolve(&self, usual: Distance) -> Result<PoolSettings, Invalid> {
        Ok(PoolSettings {
            tenant_id_key: self.tenant_id_key.clone(),
            knowledge_base: KnowledgeBase::resolve(self.knowledge_base.as_ref())?,
            index: Index::resolve(self.index.as_ref(), usual),
            ingestion: Ingestion::resolve(self.ingestion.as_ref()),
            sidecars: self.sidecars,
        })
    }
}
