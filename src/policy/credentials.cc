// Recognizes headers with credentials by their names, because their values have no common form. It compares whole
// names or endings, never parts, because "token" and "key" also occur in the names of headers that are harmless
// (X-CSRF-Token) or that a request needs (Idempotency-Key).
#include "policy/credentials.h"

#include <algorithm>
#include <cstddef>

#include "base/text/words.h"
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
                                       "x_functions_key",
                                       "x_rapidapi_key",
                                       "x_mashape_key",
                                       "x_license_key",
                                       "x_honeycomb_team",
                                       "x_sf_token",
                                       "x_storage_token",
                                       "x_sentry_auth",
                                       "x_zumo_auth",
                                       "x_registry_auth",
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
constexpr std::string_view kEnds[] = {
    "_authorization",   "_authentication",   "_api_key",       "_apikey",          "_access_token",  "_access_key",
    "_auth_token",      "_auth_key",         "_api_token",     "_secret_key",      "_client_secret", "_private_key",
    "_application_key", "_subscription_key", "_jwt_assertion", "_service_account", "_session_token", "_admin_secret",
    "_api_secret",      "_sas_key",          "_sas_token"};

// The beginnings of WebSocket protocols that contain a credential, at OpenAI, Kubernetes and Phoenix, Jupyter and
// AppSync.
constexpr std::string_view kProtocols[] = {"openai-insecure-api-key.", "base64url.bearer.", "v1.token.websocket.",
                                           "header-"};

// Returns whether the name of a WebSocket protocol presents a credential. The credential may also be a whole name,
// after a protocol such as "token".
bool is_credential(std::string_view protocol) {
  // The name of a protocol is shorter, and has fewer digits and capital letters ("SPDY/3.1+portforward.k8s.io").
  constexpr size_t kLongestName = 64, kMostMarks = 9;
  auto is_mark = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  if (protocol.size() > kLongestName || std::ranges::count_if(protocol, is_mark) > ptrdiff_t{kMostMarks}) return true;
  std::string name = lower(protocol);
  return std::ranges::any_of(kProtocols, [&](std::string_view each) { return name.starts_with(each); });
}

}  // namespace

bool is_listed_credential(std::string_view header) {
  return std::ranges::find(kNames, folded_header(header)) != std::end(kNames);
}

bool presents_credentials(std::string_view header) {
  std::string name = folded_header(header);
  return std::ranges::find(kNames, name) != std::end(kNames) ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end) || name == end.substr(1); });
}

std::optional<std::string> protocols_without_credentials(std::string_view list) {
  std::string kept;
  bool any = false;
  for (std::string_view rest = list; !rest.empty();) {
    size_t comma = std::min(rest.find(','), rest.size());
    std::string_view each = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (each.starts_with(' ') || each.starts_with('\t')) each.remove_prefix(1);
    while (each.ends_with(' ') || each.ends_with('\t')) each.remove_suffix(1);
    bool presents = is_credential(each);
    any |= presents;
    if (!each.empty() && !presents) kept.append(kept.empty() ? "" : ", ").append(each);
  }
  if (!any) return std::nullopt;
  return kept;
}

}  // namespace bottle::policy
