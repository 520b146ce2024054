//! What can be asked beyond a read.

use crate::{
    Plant,
    specimen::{Depth, Specimen, id_of_nothing},
    stand::{Stand, Verdict, ensure, failed, skipped},
};
use welkin_core::{Name, Reason, Target};

pub(super) async fn questions<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let questions = K::questions();
    if questions.is_empty() {
        return skipped("nothing can be asked of the kind");
    }
    let ground = K::ground(stand, Depth::Plain).await?;
    let place = stand.place::<K>()?;
    let parent = || place.clone();
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    let known = Target::Named { name: made.name.clone(), uid: made.mark.map(|m| m.uid), vendor_id: Some(made.vendor_id.clone()) };
    let mut targets = vec![Target::named(made.name), known, Target::Vendor { parent: parent(), vendor_id: made.vendor_id }];
    if stand.subject.world.abilities().plants {
        let planted = stand.plant(Plant { what: K::planted(&ground)?, mark: None }).await?;
        targets.push(Target::Vendor { parent: parent(), vendor_id: planted.parse()? });
    }
    let before = stand.inventory().await?;
    let name: Name<K> = stand.name()?;
    let nothing = [Target::named(name), Target::Vendor { parent: parent(), vendor_id: id_of_nothing::<K>(stand).parse()? }];
    for (question, is_plausible) in questions {
        stand.needs_verb::<K>(&question)?;
        for target in &targets {
            let answer = stand.eventually_asked(target, &question).await?;
            ensure!(is_plausible(&answer), "{question} of {target}: {answer:?}");
        }
        for target in &nothing {
            match stand.ask(target, &question).await {
                Err(e) if e.is_not_found() && e.reason() == Reason::ResourceNotFound => {}
                other => return failed(format!("{question} of {target}, which does not exist: {other:?}")),
            }
        }
    }
    let now = stand.inventory().await?;
    ensure!(now == before, "asked, and there is {now:?} instead of {before:?}");
    Ok(())
}
