//! What has to be refused.

use crate::{
    runner::Manner,
    specimen::{Depth, Specimen, Unchangeable, Wrong, id_of_nothing},
    stand::{Stand, Verdict, ensure, failed, minted, skipped},
};
use welkin_core::{Error, ErrorKind, FieldPath, Managed, Mutability, Name, Object, Reason, Target, VendorId, Verb, VerbName, changed_paths};

/// Does the error say what the trial expects of it?
fn names<K: Managed>(e: &Error, wrong: &Wrong<K>) -> Verdict {
    ensure!(e.violations().iter().any(|v| v.field == wrong.field), "{} has to be refused naming {}: {e:?}", wrong.what, wrong.field);
    ensure!(wrong.reason.is_none_or(|r| r == e.reason()), "{} has to be refused as {:?}: {e:?}", wrong.what, wrong.reason);
    ensure!(e.retry_after().is_none(), "{} is refused as if it could be repeated: {e:?}", wrong.what);
    Ok(())
}

pub(super) async fn malformed<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let caps = stand.subject.provider.capabilities();
    stand.capabilities::<K>()?;
    let ground = K::ground(stand, Depth::Plain).await?;
    let plain = K::plain(stand, &ground, 1);
    caps.check_spec::<K>(&plain)?;
    let before = stand.inventory().await?;
    for wrong in K::malformed(stand, &plain) {
        match caps.check_spec::<K>(&wrong.spec) {
            Ok(()) => return failed(format!("{} is not refused", wrong.what)),
            Err(e) => {
                names(&e, &wrong)?;
                ensure!(e.kind() == ErrorKind::InvalidArgument, "{} is refused as {e:?}", wrong.what);
            }
        }
        if stand.subject.served {
            let calls = stand.subject.world.calls();
            match stand.drive(&stand.create_of::<K>(wrong.spec.clone())?, Manner::PLAIN).await.end {
                Ok(end) => return failed(format!("{} is not refused by the server: {end:?}", wrong.what)),
                Err(e) => names(&e, &wrong)?,
            }
            let now = stand.subject.world.calls();
            ensure!(now == calls, "{} was refused after calls of the cloud: {now:?} instead of {calls:?}", wrong.what);
        }
    }
    let made = stand.new_since(&before).await?;
    ensure!(made.is_empty(), "what was refused made {made:?}");
    Ok(())
}

pub(super) async fn refused<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Create)?;
    let ground = K::ground(stand, Depth::Whole).await?;
    let plain = K::plain(stand, &ground, 1);
    let all = K::refused(stand, &ground, &plain).await?;
    if all.is_empty() {
        return skipped("no cloud refuses a well-formed one");
    }
    let before = stand.inventory().await?;
    for wrong in all {
        let create = stand.create_of::<K>(wrong.spec.clone())?;
        let is_gap = stand.is_gap(wrong.what);
        // Where the stand-in breaks over it instead of refusing it, a few attempts are enough.
        let driven = stand.drive(&create, Manner { at_most: is_gap.then_some(4), ..Manner::PLAIN }).await;
        let left = driven.left;
        match driven.end {
            Ok(_) if is_gap => {}
            Err(e) if is_gap && names(&e, &wrong).is_ok() => return failed(format!("{} is refused, although it was declared as a gap", wrong.what)),
            Err(_) if is_gap => {}
            Ok(end) => return failed(format!("{} is not refused: {end:?}", wrong.what)),
            Err(e) => names(&e, &wrong)?,
        }
        stand.clean(&create, left).await?;
        let made = stand.new_since(&before).await?;
        ensure!(made.is_empty(), "{} was refused and made {made:?}", wrong.what);
    }
    Ok(())
}

/// Each of these changes is refused by its field, and nothing of it happens.
pub(super) async fn refused_changes<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Update)?;
    let ground = K::ground(stand, Depth::Whole).await?;
    let Some((made, all)): Option<Unchangeable<K>> = K::refused_changes(stand, &ground).await? else { return skipped("no cloud refuses a well-formed change") };
    let by_name = Target::named(made.name.clone());
    let seen: Object<K> = stand.eventually(&by_name).await?;
    let before = stand.inventory().await?;
    for wrong in all {
        let is_gap = stand.is_gap(wrong.what);
        match stand.drive(&stand.update_of(&made, wrong.spec.clone())?, Manner::PLAIN).await.object() {
            Ok(changed) if is_gap => drop(stand.update(&changed, made.spec.clone(), Manner::PLAIN).await?),
            Err(e) if is_gap && names(&e, &wrong).is_ok() => return failed(format!("{} is refused, although it was declared as a gap", wrong.what)),
            Err(_) if is_gap => {}
            Ok(end) => return failed(format!("{} is not refused: {end:?}", wrong.what)),
            Err(e) => names(&e, &wrong)?,
        }
        let now = stand.eventually::<K>(&by_name).await?;
        ensure!(is_gap || (&now.spec, &now.status) == (&seen.spec, &seen.status), "{} was refused and made {now:?} of {seen:?}", wrong.what);
    }
    let now = stand.inventory().await?;
    ensure!(now == before, "there is {now:?} instead of {before:?}");
    Ok(())
}

pub(super) async fn in_use<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Delete)?;
    let Some(used) = K::occupied(stand).await? else { return skipped("nothing stands on it") };
    let before = stand.inventory().await?;
    let is_in_use = |e: &Error| e.reason() == Reason::InUse && e.kind() == ErrorKind::FailedPrecondition && e.retry_after().is_none();
    let delete = stand.change_of(&used, Verb::Delete)?;
    match stand.check(&delete).await {
        Err(e) if is_in_use(&e) => {}
        other => return failed(format!("the check of its delete: {other:?}")),
    }
    match stand.drive(&delete, Manner::PLAIN).await.end {
        Err(e) if is_in_use(&e) => {}
        other => return failed(format!("its delete: {other:?}")),
    }
    let now = stand.inventory().await?;
    ensure!(now == before, "there is {now:?} instead of {before:?}");
    let seen = stand.eventually::<K>(&Target::named(used.name.clone())).await?;
    ensure!(K::is_ready(&seen.status), "it is {:?}", seen.status);
    Ok(())
}

pub(super) async fn immutable<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let caps = stand.subject.provider.capabilities();
    let fields = &stand.capabilities::<K>()?.fields;
    let fixed: Vec<&str> = fields.iter().filter(|(path, f)| f.mutability == Mutability::Immutable && K::FIELDS.contains(path)).map(|(path, _)| *path).collect();
    for path in &fixed {
        match caps.check_update::<K>(&[FieldPath::from(*path)].into()) {
            Err(e) if e.reason() == Reason::FieldImmutable && e.violations().iter().any(|v| v.field == *path) => {}
            other => return failed(format!("a change of {path}: {other:?}")),
        }
    }
    // What can only be set has to be something that can be set.
    if !stand.subject.served || !fixed.iter().any(|path| stand.honours::<K>(path)) {
        return Ok(());
    }
    let ground = K::ground(stand, Depth::Whole).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    let mut changes = Vec::new();
    for (_, desired) in K::variants(stand, &ground)? {
        changes.push((changed_paths::<K>(&made.spec, &desired)?, desired));
    }
    let Some((paths, desired)) = changes.into_iter().find(|(paths, _)| paths.iter().any(|p| fixed.contains(&p.0.as_str()))) else {
        return failed("no variant has another value of what is fixed");
    };
    match stand.drive(&stand.change_of(&made, Verb::Update { desired, paths })?, Manner::PLAIN).await.end {
        Err(e) if e.reason() == Reason::FieldImmutable => Ok(()),
        other => failed(format!("the server was asked to change what is fixed: {other:?}")),
    }
}

pub(super) async fn absent<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Get)?;
    let ground = K::ground(stand, Depth::Plain).await?;
    let name: Name<K> = stand.name()?;
    let nothing: VendorId = id_of_nothing::<K>(stand).parse()?;
    let by_vendor = Target::Vendor { parent: stand.place::<K>()?, vendor_id: nothing.clone() };
    for target in [Target::named(name.clone()), by_vendor] {
        match stand.get::<K>(&target).await {
            Err(e) if e.is_not_found() && e.reason() == Reason::ResourceNotFound => {}
            other => return failed(format!("{target}: {other:?}")),
        }
    }
    let plain = K::plain(stand, &ground, 1);
    let target = Target::Named { name, uid: Some(minted()?), vendor_id: Some(nothing) };
    if let Some((_, desired)) = K::changes(stand, &ground, &plain).into_iter().next() {
        let paths = changed_paths::<K>(&plain, &desired)?;
        let answer = stand.drive(&stand.change(target.clone(), minted()?, Verb::Update { desired, paths })?, Manner::PLAIN).await.end;
        ensure!(answer.as_ref().is_err_and(Error::is_not_found), "a change of nothing: {answer:?}");
    }
    for (action, _) in K::fixed_points() {
        let answer = stand.drive(&stand.change(target.clone(), minted()?, Verb::Act(action))?, Manner::PLAIN).await.end;
        ensure!(answer.as_ref().is_err_and(Error::is_not_found), "an action on nothing: {answer:?}");
    }
    Ok(())
}
