//! What to try next after a server has refused something.

/// The next command, or flag, for who was told this code; nothing where the server's own text is all there is to say.
pub(crate) fn next(code: &str) -> Option<&'static str> {
    Some(match code {
        "auth.missing" => {
            "give --key or MEDIAFLOW_API_KEY; on the server's machine `mediaflow keys create` makes a key"
        }
        "auth.invalid" => "on the server's machine `mediaflow keys ls` lists the keys",
        "auth.scope" => {
            "on the server's machine `mediaflow keys create --scopes` makes a key that may"
        }
        "asset.not_found" => "`mediaflow assets` lists assets",
        "asset.deleted" => "`mediaflow events ASSET` has its history",
        "task.not_found" => "`mediaflow dead ls` lists the tasks that can be replayed",
        "worker.not_found" => "`mediaflow workers` lists the workers",
        "tenant.not_found" => "`mediaflow tenants ls` lists the tenants",
        "webhook.not_found" | "limit.webhooks" => "`mediaflow webhooks` lists the webhooks",
        "delivery.not_found" => "`mediaflow webhooks deliveries ID` lists what it was told",
        "switch.not_found" => "`mediaflow switches ls` lists the switches",
        "switch.off" => "`mediaflow switches history` tells who switched it off",
        "recipe.unknown" => "`mediaflow recipes ls` lists the recipes",
        "events.pruned" => "`--after latest --follow` shows what happens from now on",
        "route.not_found" => "is the server older than this program, or --server another one?",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::next;
    use mediaflow_core::ErrorCode;

    #[test]
    fn it_is_given_for_codes_that_there_are() {
        let advised = ErrorCode::ALL.iter().filter(|c| next(c.as_str()).is_some());
        assert_eq!(advised.count(), 16);
    }
}
