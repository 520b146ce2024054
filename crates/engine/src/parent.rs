//! What lives in another resource (a record set in its zone): callers and the store call that as they do everywhere, drivers by the vendor's id.

use crate::{
    account::{Account, Names},
    layer::{self, Get},
};
use welkin_core::{Error, ErrorKind, Kind, Managed, Name, Object, Parent as _, Reason, Result, Target, VendorId};

/// The field of a request that names it.
const FIELD: &str = "parent";

impl Names {
    /// Calls what it lives in as we call it.
    pub(crate) fn inward<K: Kind>(&self, name: &mut Name<K>) -> Result<()> {
        if let Some((_, parent)) = name.parent.resource()
            && let Some(row) = self.find(&parent.to_string())
        {
            parent.set(&row.name)?;
        }
        Ok(())
    }
}

impl Account {
    /// A parent as drivers call it.
    pub(crate) async fn outward<K: Kind>(&self, mut parent: K::Parent) -> Result<K::Parent> {
        // In a box of its own: every read comes by here, and few kinds live in another resource.
        if parent.resource().is_none() { Ok(parent) } else { Box::pin(self.outward_resource::<K>(parent)).await }
    }
    async fn outward_resource<K: Kind>(&self, mut parent: K::Parent) -> Result<K::Parent> {
        let Some((collection, name)) = parent.resource() else { return Ok(parent) };
        let called = name.to_string();
        let unknown = Err(Error::internal(format!("{collection} is no kind that can be a parent")));
        let outward = welkin_core::with_kind!(collection, P => self.outward_as::<P>(&called).await, else unknown)?;
        name.set(&outward)?;
        Ok(parent)
    }
    async fn outward_as<P: Managed>(&self, called: &str) -> Result<String> {
        let name: Name<P> = called.parse().map_err(|e: Error| e.with_field(FIELD))?;
        let vendor_id = match self.target(&name)?.0 {
            Target::Vendor { vendor_id, .. } | Target::Named { vendor_id: Some(vendor_id), .. } => vendor_id,
            target @ Target::Named { .. } => self.parent_of(target).await?.vendor_id,
        };
        Ok(called_by_id::<P>(&name, &vendor_id)?.to_string())
    }
    async fn parent_of<P: Managed>(&self, target: Target<P>) -> Result<Object<P>> {
        let name = target.to_string();
        layer::ask(&self.stack, self.cx(), Get(target)).await.map_err(|e| {
            // NOT_FOUND would be about what lives there.
            if e.is_not_found() {
                Error::new(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, format!("{name} does not exist")).with_field(FIELD).with_resource(name)
            } else {
                e.with_field(FIELD)
            }
        })
    }
    /// A target as drivers call it.
    pub(crate) async fn outward_target<K: Kind>(&self, target: Target<K>) -> Result<Target<K>> {
        Ok(match target {
            Target::Named { name, uid, vendor_id } => Target::Named { name: Name { parent: self.outward::<K>(name.parent).await?, id: name.id }, uid, vendor_id },
            Target::Vendor { parent, vendor_id } => Target::Vendor { parent: self.outward::<K>(parent).await?, vendor_id },
        })
    }

    /// Refuses to change anything in a parent that is not ours.
    pub(crate) async fn check_parent<K: Kind>(&self, name: &Name<K>) -> Result<()> {
        let mut parent = name.parent.clone();
        let Some((collection, name)) = parent.resource() else { return Ok(()) };
        let called = name.to_string();
        if self.names.read().find(&called).is_some() {
            return Ok(());
        }
        let unknown = Err(Error::internal(format!("{collection} is no kind that can be a parent")));
        welkin_core::with_kind!(collection, P => Box::pin(self.check_parent_as::<P>(&called)).await, else unknown)
    }
    async fn check_parent_as<P: Managed>(&self, called: &str) -> Result<()> {
        let name: Name<P> = called.parse().map_err(|e: Error| e.with_field(FIELD))?;
        let found = self.parent_of(self.target(&name)?.0).await?;
        if found.mark.is_some_and(|m| m.owner == self.owner) {
            return Ok(());
        }
        let message = format!("{called} was not made by this Welkin and was not adopted: nothing in it is changed");
        Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, message).with_field(FIELD).with_resource(called))
    }
}

fn called_by_id<P: Kind>(name: &Name<P>, vendor_id: &VendorId) -> Result<Name<P>> {
    Ok(Name { parent: name.parent.clone(), id: P::foreign_id(vendor_id.as_str())? })
}
