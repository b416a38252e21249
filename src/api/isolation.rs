//! The table: a stack is six layers, and the isolation pattern says who owns each of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How isolated a tenant is from the others.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Pattern {
    Silo,
    Bridge,
    Pool,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Pattern; 3] = [Pattern::Silo, Pattern::Bridge, Pattern::Pool];
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A layer of a stack. Declared in build order; taken apart the other way round.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Layer {
    Key,
    Bucket,
    VectorStore,
    Index,
    Role,
    KnowledgeBase,
}

impl Layer {
    /// All layers, in build order.
    pub const ALL: [Layer; 6] =
        [Layer::Key, Layer::Bucket, Layer::VectorStore, Layer::Index, Layer::Role, Layer::KnowledgeBase];

    /// As it is called in a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Layer::Key => "key",
            Layer::Bucket => "bucket",
            Layer::VectorStore => "vector store",
            Layer::Index => "index",
            Layer::Role => "role",
            Layer::KnowledgeBase => "knowledge base",
        }
    }

    /// As it is hashed into names in AWS. No release may change these words.
    pub const fn in_names(self) -> &'static str {
        match self {
            Layer::Key => "Key",
            Layer::Bucket => "Bucket",
            Layer::VectorStore => "Collection",
            Layer::Index => "Index",
            Layer::Role => "Role",
            Layer::KnowledgeBase => "KnowledgeBase",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Whose a layer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// Builds it, watches over it, takes it apart.
    Owns,
    /// Uses what a SharedStack owns, and only uses it.
    Borrows,
    /// Has none.
    Absent,
}

/// A column of the table: a pattern of a Tenant, or a SharedStack.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Column {
    Silo,
    Bridge,
    Pool,
    SharedStack,
    SharedStackWithPool,
}

impl Column {
    pub const ALL: [Column; 5] =
        [Column::Silo, Column::Bridge, Column::Pool, Column::SharedStack, Column::SharedStackWithPool];

    pub const fn words(self) -> &'static str {
        match self {
            Column::Silo => "Silo",
            Column::Bridge => "Bridge",
            Column::Pool => "Pool",
            Column::SharedStack => "SharedStack",
            Column::SharedStackWithPool => "SharedStack with a pool",
        }
    }

    /// The layers that this column has in common with `ownership`, in build order.
    pub fn layers(self, which: Ownership) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(move |layer| ownership(self, *layer) == which)
    }
}

impl From<Pattern> for Column {
    fn from(pattern: Pattern) -> Self {
        match pattern {
            Pattern::Silo => Column::Silo,
            Pattern::Bridge => Column::Bridge,
            Pattern::Pool => Column::Pool,
        }
    }
}

/// The table itself. A key that nobody asked to have created is owned too: there is then nothing to own.
pub const fn ownership(column: Column, layer: Layer) -> Ownership {
    use Layer::{Bucket, Index, Key, KnowledgeBase, Role, VectorStore};
    match (column, layer) {
        (Column::Silo | Column::SharedStackWithPool, _) => Ownership::Owns,
        (Column::Pool, _) => Ownership::Borrows,
        (Column::Bridge, Key | Bucket | VectorStore) => Ownership::Borrows,
        (Column::Bridge, Index | Role | KnowledgeBase) => Ownership::Owns,
        (Column::SharedStack, Key | Bucket | VectorStore) => Ownership::Owns,
        (Column::SharedStack, Index | Role | KnowledgeBase) => Ownership::Absent,
    }
}

/// One `T` for each layer. Taken apart without `..`, so that a seventh layer does not compile until
/// everybody has dealt with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PerLayer<T> {
    pub key: T,
    pub bucket: T,
    pub vector_store: T,
    pub index: T,
    pub role: T,
    pub knowledge_base: T,
}

impl<T> PerLayer<T> {
    pub fn from_fn(mut f: impl FnMut(Layer) -> T) -> Self {
        PerLayer {
            key: f(Layer::Key),
            bucket: f(Layer::Bucket),
            vector_store: f(Layer::VectorStore),
            index: f(Layer::Index),
            role: f(Layer::Role),
            knowledge_base: f(Layer::KnowledgeBase),
        }
    }

    pub fn get(&self, layer: Layer) -> &T {
        match layer {
            Layer::Key => &self.key,
            Layer::Bucket => &self.bucket,
            Layer::VectorStore => &self.vector_store,
            Layer::Index => &self.index,
            Layer::Role => &self.role,
            Layer::KnowledgeBase => &self.knowledge_base,
        }
    }

    pub fn get_mut(&mut self, layer: Layer) -> &mut T {
        match layer {
            Layer::Key => &mut self.key,
            Layer::Bucket => &mut self.bucket,
            Layer::VectorStore => &mut self.vector_store,
            Layer::Index => &mut self.index,
            Layer::Role => &mut self.role,
            Layer::KnowledgeBase => &mut self.knowledge_base,
        }
    }

    pub fn map<U>(self, mut f: impl FnMut(Layer, T) -> U) -> PerLayer<U> {
        let PerLayer { key, bucket, vector_store, index, role, knowledge_base } = self;
        PerLayer {
            key: f(Layer::Key, key),
            bucket: f(Layer::Bucket, bucket),
            vector_store: f(Layer::VectorStore, vector_store),
            index: f(Layer::Index, index),
            role: f(Layer::Role, role),
            knowledge_base: f(Layer::KnowledgeBase, knowledge_base),
        }
    }

    pub fn as_ref(&self) -> PerLayer<&T> {
        let PerLayer { key, bucket, vector_store, index, role, knowledge_base } = self;
        PerLayer { key, bucket, vector_store, index, role, knowledge_base }
    }

    /// In build order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Layer, &T)> {
        Layer::ALL.into_iter().map(|layer| (layer, self.get(layer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the README, cell by cell: `o`wns, `b`orrows, `-`.
    #[test]
    fn everyone_owns_what_the_table_says() {
        let table = [
            (Layer::Key, "obboo"),
            (Layer::Bucket, "obboo"),
            (Layer::VectorStore, "obboo"),
            (Layer::Index, "oob-o"),
            (Layer::Role, "oob-o"),
            (Layer::KnowledgeBase, "oob-o"),
        ];
        assert_eq!(table.map(|(layer, _)| layer), Layer::ALL);
        for (layer, row) in table {
            for (column, cell) in Column::ALL.into_iter().zip(row.chars()) {
                let whose = match ownership(column, layer) {
                    Ownership::Owns => 'o',
                    Ownership::Borrows => 'b',
                    Ownership::Absent => '-',
                };
                assert_eq!(whose, cell, "{column:?} {layer:?}");
            }
        }
    }

    /// Whatever a tenant borrows, the stack that serves its pattern owns.
    #[test]
    fn every_borrowed_layer_has_an_owner() {
        for (tenant, stack) in [
            (Column::Bridge, Column::SharedStack),
            (Column::Bridge, Column::SharedStackWithPool),
            (Column::Pool, Column::SharedStackWithPool),
        ] {
            for layer in tenant.layers(Ownership::Borrows) {
                assert_eq!(ownership(stack, layer), Ownership::Owns, "{tenant:?} borrows the {layer}");
            }
        }
    }

    #[test]
    fn per_layer_keeps_layers_and_values_together() {
        let mut words = PerLayer::from_fn(Layer::words);
        for layer in Layer::ALL {
            assert_eq!(*words.get(layer), layer.words());
            *words.get_mut(layer) = "seen";
        }
        assert!(words.iter().map(|(layer, _)| layer).eq(Layer::ALL));
        assert!(words.map(|layer, word| (layer, word)).iter().all(|(layer, cell)| *cell == (layer, "seen")));
        assert!(words.as_ref().iter().all(|(_, word)| **word == "seen"));
    }
}
