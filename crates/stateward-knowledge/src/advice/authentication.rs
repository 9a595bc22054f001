//! AWS did not know who asked: no policy has anything to do with it.

use stateward_denial::{Problem, Reason};

use super::{Advice, Who};

pub(super) fn advise(problem: &Problem) -> Advice {
    let reason = problem.failure.as_ref().and_then(|failure| failure.reason);
    let advice = match reason {
        Some(Reason::ExpiredCredentials) => expired(),
        Some(Reason::NoCredentials) => missing(),
        Some(Reason::SsoSession) => signed_out(),
        Some(Reason::SsoAssignment) => not_assigned(),
        Some(Reason::WebIdentity) => web_identity(),
        Some(Reason::InvalidCredentials) => invalid(),
        Some(Reason::BadSignature) => bad_signature(),
        Some(Reason::ClockSkew) => skewed(),
        Some(Reason::Mfa) => Advice::new(
            "The code of the MFA device was not right",
            "AWS did not take the code that the session was to be opened with.",
        )
        .then(Who::You, "Wait for the next code and use it once.", "A code counts once, and for half a minute.")
        .then(
            Who::You,
            "Check the device's ARN and this machine's clock.",
            "The code is made for one device, from the time.",
        ),
        Some(Reason::NotSigned) => {
            Advice::new("The request carried no credentials", "AWS got a request without a signature.").then(
                Who::You,
                "See what stands between the run and AWS: a proxy, or an endpoint of another service.",
                "Something took the `Authorization` header out, or the address is not the one of this service.",
            )
        }
        _ => Advice::new("AWS did not take the credentials", "The text does not say why.").then(
            Who::You,
            "Ask AWS who you are, where the run is: `aws sts get-caller-identity`.",
            "Whoever may sign in gets an answer, whatever the policies say.",
        ),
    };
    advice.but_not("Attaching policies", "AWS did not get as far as policies: it does not know who asks.")
}

fn expired() -> Advice {
    Advice::new(
        "The credentials have expired",
        "Temporary credentials end after a time that was set when they were made, in the middle of a run too.",
    )
    .then(
        Who::You,
        "Get new ones: sign in again, or have the job get them.",
        "Nothing that was expired is renewed by waiting.",
    )
    .then(
        Who::You,
        "If a long apply ended so and its state could not be written, push `errored.tfstate`: `terraform state push errored.tfstate`.",
        "It holds what the run has done; without it Terraform does not know of it.",
    )
    .then(
        Who::You,
        "See whether the lock stayed behind: `terraform plan` says who holds it.",
        "A run that cannot write its state mostly cannot give its lock back either.",
    )
    .then(
        Who::AccountAdmin,
        "For long runs, let the session last longer (`duration`, `role-duration-seconds`; at most what the role allows), or let the tool renew it.",
        "Sessions from a session (role chaining) last an hour at most.",
    )
}

fn missing() -> Advice {
    Advice::new(
        "No credentials were found",
        "The SDK looked in all the usual places and found nothing to sign requests with.",
    )
    .then(
        Who::You,
        "See what the run has: `aws configure list` and `aws sts get-caller-identity`, in the same shell or job.",
        "They say where credentials come from: variables, a profile, a web identity, the instance.",
    )
    .then(
        Who::You,
        "In a workflow, check the step that logs in, and its permissions (`id-token: write`).",
        "Without it there is no token to get credentials for, and jobs of forks get none.",
    )
    .then(
        Who::You,
        "For Terraform: the backend has a `profile` and `region` of its own, apart from the provider's.",
        "What stands in the `provider` block does not count for the backend.",
    )
}

fn signed_out() -> Advice {
    Advice::new(
        "The sign-in by IAM Identity Center is over",
        "The profile's session has ended, or was never opened on this machine.",
    )
    .then(Who::You, "Sign in again: `aws sso login --profile PROFILE`.", "It opens a session for some hours.")
    .then(
        Who::You,
        "For jobs without a person, use a role with a web identity in place of a profile that a person signs in to.",
        "Nobody is there to sign in.",
    )
}

fn not_assigned() -> Advice {
    Advice::new(
        "IAM Identity Center gives you no such role in that account",
        "The sign-in holds, but the account or the permission set that the profile names is not among those assigned to whoever signed in.",
    )
    .then(
        Who::You,
        "Compare `sso_account_id` and `sso_role_name` of the profile with what the access portal shows: `aws configure get sso_role_name --profile PROFILE`.",
        "A name that is spelled wrong gets the same answer as one that is not assigned.",
    )
    .then(
        Who::You,
        "See that it is the right person who signed in: `aws sso logout`, then `aws sso login --profile PROFILE`.",
        "The session in the cache may be that of another user.",
    )
    .then(
        Who::OrganizationAdmin,
        "Assign the permission set to the user or the group for that account, in IAM Identity Center.",
        "Nobody else can: the account itself does not decide who gets the role.",
    )
}

fn web_identity() -> Advice {
    Advice::new(
        "AWS did not take the identity provider's token",
        "The token, or the provider that made it, is not one that IAM knows or accepts.",
    )
    .then(
        Who::AccountAdmin,
        "See whether IAM has an identity provider with exactly the token's issuer (`iss`), and the audience (`aud`) in it.",
        "A provider is found by its address, to the letter.",
    )
    .then(
        Who::You,
        "See whether the token is fresh and meant for AWS: for GitHub the audience is `sts.amazonaws.com`.",
        "A token lives for minutes.",
    )
}

fn invalid() -> Advice {
    Advice::new(
        "AWS does not know the access key or the token",
        "The key was deleted or deactivated, is of another partition, or a session token is missing or does not belong to it.",
    )
    .then(
        Who::You,
        "See which key the run uses: `aws configure list`, `AWS_ACCESS_KEY_ID`, and a forgotten `AWS_SESSION_TOKEN`.",
        "A variable wins over a profile; keys that begin with `ASIA` need their session token, others must have none.",
    )
    .then(
        Who::You,
        "See whether it goes to AWS at all: an endpoint in the configuration, a test service, another partition.",
        "Keys of one partition, or of a test service, are unknown to the others; Regions that are not enabled know none either.",
    )
}

fn bad_signature() -> Advice {
    Advice::new(
        "The signature does not fit the request",
        "AWS knows the access key, but the secret is another one, or the request was changed on its way.",
    )
    .then(
        Who::You,
        "Set both parts of the key anew, without spaces or line ends around them.",
        "Mostly the secret was cut or belongs to another key.",
    )
    .then(
        Who::You,
        "Look for a proxy that changes headers or paths, and at this machine's clock.",
        "The signature covers both.",
    )
}

fn skewed() -> Advice {
    Advice::new("This machine's clock is wrong", "AWS takes signatures of the last minutes only.")
        .then(
            Who::You,
            "Set the clock by NTP, also of the virtual machine or container host.",
            "The difference must stay under five minutes; S3 takes fifteen.",
        )
        .then(
            Who::You,
            "If the clock is right, look for what held the request back: a run with too many of them at once, a machine that slept.",
            "It was signed minutes before it was sent.",
        )
}
