//! Follows the edits of `server-types.yaml`: a good one is in force at once, a bad one changes nothing but what is said
//! of it.

use std::path::Path;
use std::sync::PoisonError;

use provisioning_core::model::ServerType;
use provisioning_core::orchestrator::ServerTypes;

use crate::config::{Faults, load_server_types};
use crate::file_watch::FileWatch;
use crate::http::App;
use crate::reload::Asked;

/// Hardware classes by their keys.
pub(crate) fn by_key(types: Vec<ServerType>) -> ServerTypes {
    types.into_iter().map(|class| (class.key.clone(), class)).collect()
}

/// Reads the file whenever it has changed, and whenever it is `asked` for; never returns.
pub(crate) async fn follow(app: &App, path: &Path, mut asked: Asked) {
    let mut watch = FileWatch::new(path);
    // What was edited between the start and now is found by the first look.
    let mut reload = None;
    loop {
        look(app, path, reload.is_some()).await;
        // Whoever asked hears by the drop that it is done.
        drop(reload);
        reload = tokio::select! {
            biased;
            reload = asked.next() => Some(reload),
            () = watch.changed() => None,
        };
    }
}

async fn look(app: &App, path: &Path, is_asked: bool) {
    let owned = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || load_server_types(&owned)).await;
    let faults = match loaded {
        Ok(Ok(types)) => {
            let types = by_key(types);
            let count = types.len();
            if *app.orchestrator.server_types() != types {
                app.orchestrator.replace_server_types(types);
                tracing::info!(path = %path.display(), count, "read the server types anew");
            } else if is_asked {
                tracing::info!(path = %path.display(), count, "the server types are as they were");
            }
            vec![]
        }
        Ok(Err(Faults(faults))) => faults.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    say(app, path, faults, is_asked).await;
}

/// Tells the log and the pages, once for each change of what is wrong, and whenever it was asked for.
async fn say(app: &App, path: &Path, faults: Vec<String>, is_asked: bool) {
    let before = {
        let mut said = app.server_type_faults.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *said, faults.clone())
    };
    if before == faults && !is_asked {
        return;
    }
    if faults.is_empty() && !before.is_empty() {
        tracing::info!(path = %path.display(), "the server types are in order again");
    }
    for fault in &faults {
        tracing::warn!(%fault, "kept the server types as they were");
    }
    app.board.recount(app.orchestrator.store()).await;
}
