//! What only an engine in front of the provider does: names and request ids.

use crate::{
    runner::Manner,
    specimen::{Depth, Specimen, another, id_of_nothing},
    stand::{Stand, Verdict, census, ensure, failed, minted, skipped},
};
use welkin_core::{Change, ErrorKind, Name, Reason, Target};

const NO_ENGINE: &str = "names and request ids are the engine's, and there is none in front of this provider";

/// The same name and another request.
fn again<K: Specimen>(stand: &Stand<'_>, first: &Change<K>, spec: K::Spec) -> Verdict<Change<K>> {
    let other = stand.create_of::<K>(spec)?;
    Ok(Change { target: first.target.clone(), ..other })
}

pub(super) async fn same_name<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.served {
        return skipped(NO_ENGINE);
    }
    let ground = K::ground(stand, Depth::Plain).await?;
    let spec = K::plain(stand, &ground, 1);
    let before = stand.inventory().await?;
    let first = stand.create_of::<K>(spec.clone())?;
    let made = stand.drive(&first, Manner::PLAIN).await.object()?;
    let new = stand.new_since(&before).await?;
    let same = stand.drive(&again(stand, &first, spec.clone())?, Manner::PLAIN).await.object()?;
    ensure!(same.vendor_id == made.vendor_id, "the same specification made {same:?} beside {made:?}");
    let other = another::<K>(stand, &ground, &spec);
    match stand.drive(&again(stand, &first, other)?, Manner::PLAIN).await.end {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && e.reason() == Reason::NameTaken => {}
        other => return failed(format!("another specification under the same name: {other:?}")),
    }
    let now = stand.new_since(&before).await?;
    ensure!(census(&now) == census(&new), "there is {now:?} instead of {new:?}");

    // An id that a foreign object may have cannot be chosen.
    let id = id_of_nothing::<K>(stand);
    let name: Name<K> = Name::new(stand.place::<K>()?, K::foreign_id(&id)?);
    if K::label(&name.id).is_none() {
        return Ok(());
    }
    let create = stand.create_of::<K>(K::plain(stand, &ground, 2))?;
    match stand.drive(&Change { target: Target::named(name), ..create }, Manner::PLAIN).await.end {
        Err(e) if e.kind() == ErrorKind::InvalidArgument => Ok(()),
        other => failed(format!("the id {id}: {other:?}")),
    }
}

pub(super) async fn request_id<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.served {
        return skipped(NO_ENGINE);
    }
    let ground = K::ground(stand, Depth::Plain).await?;
    let spec = K::plain(stand, &ground, 1);
    let first = stand.create_of::<K>(spec.clone())?;
    let made = stand.drive(&first, Manner::PLAIN).await.object()?;
    let joined = stand.drive(&first, Manner::PLAIN).await.object()?;
    ensure!(joined.vendor_id == made.vendor_id, "the same request made {joined:?} beside {made:?}");
    let other = another::<K>(stand, &ground, &spec);
    let reused = Change { token: first.token.clone(), ..again(stand, &first, other)? };
    match stand.drive(&reused, Manner::PLAIN).await.end {
        Err(e) if e.kind() == ErrorKind::InvalidArgument && e.reason() == Reason::RequestIdReused => {}
        other => return failed(format!("another request with the same id: {other:?}")),
    }
    stand.delete(&made, Manner::PLAIN).await?;
    // It was made once; that it is deleted by now changes nothing.
    let before = stand.inventory().await?;
    let late = stand.drive(&Change { uid: minted()?, ..first }, Manner::PLAIN).await.object()?;
    ensure!(late.vendor_id == made.vendor_id, "a late repetition of the request made {late:?}");
    ensure!(stand.new_since(&before).await?.is_empty(), "a late repetition of the request made something");
    Ok(())
}
