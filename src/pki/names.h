/* Names, roles and verdicts: the words that certificates, rosters and logs share. */
#ifndef MSFL_PKI_NAMES_H
#define MSFL_PKI_NAMES_H

#include "medsecurefl/status.h"

/** Characters of a party's or a federation's name, and of a host's. */
enum { PKI_NAME_MAX = 40, PKI_HOST_MAX = 253, PKI_HOSTS_MAX = 8, PKI_REASON_MAX = 127 };
enum { PKI_SERIAL_BYTES = 16, PKI_KEY_HASH_BYTES = 32 };

typedef enum pki_role {
    PKI_COORDINATOR = 0,
    PKI_HOSPITAL = 1,
    PKI_AUTHORITY = 2,
    PKI_OPERATOR = 3 /**< a person or a script that gives the coordinator work; no part of any round */
} pki_role;

/** "coordinator", "hospital", "authority", "operator". Static storage. */
const char *pki_role_name(pki_role role);
/** ERR_FORMAT for another word. */
msfl_status pki_role_find(const char *text, pki_role *out) MSFL_NODISCARD;

/** A lower-case letter or digit, then letters, digits and single '-', 1 to 40: safe as a file name, in a certificate,
 * in a URL. ERR_FORMAT; `what` stands in the message. */
msfl_status pki_name_check(const char *what, const char *name) MSFL_NODISCARD;

/** A DNS name or a numerical address: letters, digits, '.', '-', ':'. ERR_FORMAT. */
msfl_status pki_host_check(const char *host) MSFL_NODISCARD;
/** Whether it is a numerical IPv4 or IPv6 address. */
bool pki_host_is_address(const char *host);

/** Host and port of "https://host[:port]", port 443 by default; `host` holds PKI_HOST_MAX + 1. ERR_FORMAT for anything
 *  else: another scheme, a user, a path. */
msfl_status pki_url_split(const char *url, char *host, uint32_t *port) MSFL_NODISCARD;

/** One line of printable UTF-8 up to PKI_REASON_MAX bytes without quotes and backslashes. ERR_FORMAT. */
msfl_status pki_reason_check(const char *reason) MSFL_NODISCARD;

/** `n` bytes from exactly 2 n hexadecimal digits. */
bool pki_hex_read(const char *text, uint8_t *out, size_t n);

/** What was found about a certificate, in the order in which it is looked for. */
#define PKI_VERDICTS(X)                                                                                                \
    X(ADMITTED, "admitted")                                                                                            \
    X(NO_CERTIFICATE, "no-certificate")                                                                                \
    X(MALFORMED, "certificate-malformed")                                                                              \
    X(OTHER_CA, "certificate-of-another-authority")                                                                    \
    X(NOT_YET_VALID, "certificate-not-yet-valid")                                                                      \
    X(EXPIRED, "certificate-expired")                                                                                  \
    X(WRONG_USE, "certificate-for-another-use")                                                                        \
    X(REVOKED, "certificate-revoked")                                                                                  \
    X(UNKNOWN, "certificate-not-in-roster")

typedef enum pki_verdict {
#define PKI_VERDICT_ENUM(name, text) PKI_##name,
    PKI_VERDICTS(PKI_VERDICT_ENUM)
#undef PKI_VERDICT_ENUM
} pki_verdict;

/** Such as "certificate-expired"; static storage. */
const char *pki_verdict_name(pki_verdict verdict);

#endif
