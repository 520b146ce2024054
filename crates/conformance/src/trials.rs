//! The trials, by what they are about. Most are generic over the kind.

mod catalogue;
mod crash;
mod fault;
mod foreign;
mod instance;
mod instance_group;
mod life;
mod list;
mod load_balancer;
mod mishap;
mod question;
mod record;
mod refusal;
mod server;

use crate::{specimen::Specimen, trial::Trial};
use welkin_core::kinds;

/// One line of the list: `trial!(K, life::life, "what it proves")`.
macro_rules! trial {
    ($collection:expr, $what:literal, $proves:literal, $run:expr) => {
        Trial::new($collection, $what, $proves, |stand| Box::pin($run(stand)))
    };
}
use trial;

macro_rules! all {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        pub(crate) fn all() -> Vec<Trial> {
            let mut out = Vec::new();
            $(out.extend(managed::<welkin_core::$k>());)*
            out.extend(instance::all());
            out.extend(load_balancer::all());
            out.extend(record::all());
            out.extend(instance_group::all());
            $(out.extend(catalogue::of::<welkin_core::$c>());)*
            out.extend(catalogue::all());
            out
        }
    };
}
kinds!(all);

fn managed<K: Specimen>() -> Vec<Trial> {
    let c = K::COLLECTION;
    vec![
        trial!(c, "life", "created, read by name and by the vendor's id, listed, deleted, gone", life::life::<K>),
        trial!(c, "check", "checks of every verb pass and change nothing", life::check::<K>),
        trial!(c, "fields", "every field that is claimed is answered as it was asked for; both families of addresses", life::fields::<K>),
        trial!(c, "changes", "every changeable field is changed and nothing else; the same change again is harmless", life::changes::<K>),
        trial!(c, "actions", "actions lead to their state, and are done at once where it is reached", life::actions::<K>),
        trial!(c, "questions", "every question is answered of ours and of a foreign one, writes nothing, and of nothing is NOT_FOUND", question::questions::<K>),
        trial!(c, "idempotent", "the same create again, after its end was forgotten, makes nothing new", life::idempotent::<K>),
        trial!(c, "delete_twice", "deleting again is fine, and so is deleting what never was", life::delete_twice::<K>),
        trial!(c, "amnesia", "every verb ends well although its handle is lost after every step", crash::amnesia::<K>),
        trial!(c, "crash", "every verb ends well after a crash before or after any of its writes; nothing is there twice", crash::crash::<K>),
        trial!(c, "cancel", "a create that is given up after any step or any write is removed without a trace", crash::cancel::<K>),
        trial!(c, "faults_before", "calls refused or broken before their effect, at any write: nothing twice, nothing left, nothing stuck", fault::before::<K>),
        trial!(c, "faults_after", "calls whose answer is lost or cut, at any write: nothing twice, nothing left, nothing stuck", fault::after::<K>),
        trial!(c, "faults_hanging", "calls that never answer, at any write: nothing twice, nothing left, nothing stuck", fault::hanging::<K>),
        trial!(c, "once", "what must not be repeated happens at most once, and says when it cannot know", fault::once::<K>),
        trial!(c, "list", "pages show everything once, while other resources come and go", list::list::<K>),
        trial!(c, "list_filters", "by vendor id, by owner, by location", list::filters::<K>),
        trial!(c, "foreign", "what has no mark, or another owner's, is shown as foreign and never touched", foreign::foreign::<K>),
        trial!(c, "adopted", "what is adopted is changed and deleted alone, and gets no mark; what is released is foreign again", foreign::adopted::<K>),
        trial!(c, "removed_elsewhere", "what somebody else removed is not found, and its deletion ends well", foreign::removed_elsewhere::<K>),
        trial!(c, "malformed", "what is wrong in itself or beyond the capabilities is refused by its field before any call", refusal::malformed::<K>),
        trial!(c, "refused", "what the cloud refuses names the field, and leaves nothing", refusal::refused::<K>),
        trial!(c, "refused_changes", "changes that the cloud refuses name the field, and nothing of them happens", refusal::refused_changes::<K>),
        trial!(c, "in_use", "what something else stands on is not deleted, and nothing of it is", refusal::in_use::<K>),
        trial!(c, "immutable", "what can be set at creation only is refused as a change", refusal::immutable::<K>),
        trial!(c, "absent", "what does not exist is NOT_FOUND by name and by vendor id", refusal::absent::<K>),
        trial!(c, "same_name", "a name that is taken: the same specification is what exists, another one is refused", server::same_name::<K>),
        trial!(c, "request_id", "a request id answers its first operation again, and refuses another request", server::request_id::<K>),
    ]
}
