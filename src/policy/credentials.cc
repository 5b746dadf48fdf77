// Recognizes headers with credentials by their names, because their values have no common form. It compares whole
// names or endings, never parts, because "token" and "key" also occur in the names of headers that are harmless
// (X-CSRF-Token) or that a request needs (Idempotency-Key).
#include "policy/credentials.h"

#include <algorithm>

#include "policy/header_name.h"

namespace bottle::policy {
namespace {

// The names of RFC 9110 and RFC 6265, followed by those of GitLab, Vault, Akamai, Cloudflare, Figma, Grafana, Shopify
// and other services.
constexpr std::string_view kNames[] = {"authorization",
                                       "cookie",
                                       "cookie2",
                                       "dpop",
                                       "api_key",
                                       "apikey",
                                       "token",
                                       "auth",
                                       "x_auth",
                                       "x_token",
                                       "x_api_token",
                                       "private_token",
                                       "job_token",
                                       "deploy_token",
                                       "x_gitlab_token",
                                       "x_github_token",
                                       "x_vault_token",
                                       "x_consul_token",
                                       "x_nomad_token",
                                       "x_figma_token",
                                       "x_amz_security_token",
                                       "x_goog_iap_jwt_assertion",
                                       "x_session_token",
                                       "x_session_id",
                                       "x_user_token",
                                       "x_service_token",
                                       "x_id_token",
                                       "x_jwt_assertion",
                                       "x_ms_client_principal",
                                       "x_jfrog_art_api",
                                       "x_auth_email",
                                       "x_auth_user",
                                       "x_remote_user",
                                       "x_remote_email",
                                       "x_forwarded_user",
                                       "x_forwarded_email",
                                       "x_forwarded_preferred_username",
                                       "x_auth_request_user",
                                       "x_auth_request_email",
                                       "x_webauth_user",
                                       "circle_token",
                                       "fastly_key",
                                       "x_insert_key",
                                       "x_plex_token",
                                       "x_postmark_server_token",
                                       "x_postmark_account_token",
                                       "x_trackertoken",
                                       "x_tableau_auth",
                                       "remote_user",
                                       "x_username",
                                       "x_password",
                                       "ssl_client_cert",
                                       "x_ssl_client_cert",
                                       "x_forwarded_client_cert",
                                       "client_cert",
                                       "x_client_cert"};

// The last words of other names, or the whole names: X-Goog-Api-Key, DD-API-KEY, X-Shopify-Access-Token, Access-Token
// and X-Forwarded-Authorization.
constexpr std::string_view kEnds[] = {"_authorization",   "_authentication", "_api_key",       "_apikey",
                                      "_access_token",    "_access_key",     "_auth_token",    "_auth_key",
                                      "_api_token",       "_secret_key",     "_client_secret", "_private_key",
                                      "_application_key", "_service_account"};

}  // namespace

bool is_listed_credential(std::string_view header) {
  return std::ranges::find(kNames, folded_header(header)) != std::end(kNames);
}

bool presents_credentials(std::string_view header) {
  std::string name = folded_header(header);
  return std::ranges::find(kNames, name) != std::end(kNames) ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end) || name == end.substr(1); });
}

}  // namespace bottle::policy
