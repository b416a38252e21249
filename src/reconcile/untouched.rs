//! The layers of an object on which nothing is done: what was said of them before stands.

use crate::api::{
    Column, Encryption, EncryptionKey, Layer, Ownership, PerLayer, SharedStack, Tenant, ownership,
};
use crate::stack::model::outcome::LayerStatus;

/// Those of a Tenant. One that leaves its pattern to its class has none before it is accepted.
pub fn of_tenant(tenant: &Tenant) -> PerLayer<Option<LayerStatus>> {
    tenant.pattern().map_or_else(PerLayer::default, |pattern| owned(pattern.into(), tenant.encryption()))
}

/// Those of a SharedStack.
pub fn of_stack(stack: &SharedStack) -> PerLayer<Option<LayerStatus>> {
    let column = if stack.spec.pool.is_some() { Column::SharedStackWithPool } else { Column::SharedStack };
    owned(column, stack.spec.encryption.as_ref())
}

/// A key is among them only if it is to be created.
fn owned(column: Column, encryption: Option<&Encryption>) -> PerLayer<Option<LayerStatus>> {
    let creates_key = encryption.is_some_and(|encryption| encryption.key == EncryptionKey::Create);
    let is_owned =
        |layer| ownership(column, layer) == Ownership::Owns && (layer != Layer::Key || creates_key);
    PerLayer::from_fn(|layer| is_owned(layer).then_some(LayerStatus::Unchanged))
}
