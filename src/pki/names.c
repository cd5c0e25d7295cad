#include "pki/names.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <string.h>

static const char *const roles[] = {"coordinator", "hospital", "authority", "operator"};

const char *pki_role_name(pki_role role) {
    return (size_t)role < sizeof roles / sizeof roles[0] ? roles[role] : "unknown";
}

msfl_status pki_role_find(const char *text, pki_role *out) {
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(text, roles[i]) == 0) {
            *out = (pki_role)i;
            return MSFL_OK;
        }
    }
    return msfl_fail(MSFL_ERR_FORMAT, "'%.40s' is not a role: coordinator, hospital, authority or operator", text);
}

static bool is_name_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

msfl_status pki_name_check(const char *what, const char *name) {
    size_t n = strnlen(name, PKI_NAME_MAX + 1);
    bool good = n >= 1 && n <= PKI_NAME_MAX && is_name_letter(name[0]) && is_name_letter(name[n - 1]);
    for (size_t i = 1; good && i + 1 < n; i++)
        good = is_name_letter(name[i]) || (name[i] == '-' && name[i - 1] != '-');
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT,
                     "%s: a name has 1 to %d lower-case letters and digits, with single '-' between them", what,
                     PKI_NAME_MAX);
}

bool pki_host_is_address(const char *host) {
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

msfl_status pki_host_check(const char *host) {
    size_t n = strnlen(host, PKI_HOST_MAX + 1);
    bool good = n >= 1 && n <= PKI_HOST_MAX;
    if (good && pki_host_is_address(host)) return MSFL_OK;
    for (size_t i = 0; good && i < n; i++) {
        char c = host[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        good = letter || ((c == '-' || c == '.') && i > 0 && i + 1 < n && host[i - 1] != '.');
    }
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "a host is a DNS name or a numerical address of at most %d characters",
                     PKI_HOST_MAX);
}

msfl_status pki_url_split(const char *url, char *host, uint32_t *port) {
    static const char scheme[] = "https://";
    host[0] = 0;
    *port = 443;
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "the address of the coordinator begins with https://");
    }
    const char *at = url + sizeof scheme - 1;
    bool bracket = *at == '[';
    at += bracket;
    size_t n = strcspn(at, bracket ? "]" : ":/?#@");
    if (n == 0 || n > PKI_HOST_MAX) return msfl_fail(MSFL_ERR_FORMAT, "the address of the coordinator names no host");
    memcpy(host, at, n);
    host[n] = 0;
    at += n;
    msfl_status status = pki_host_check(host);
    if (status != MSFL_OK) return status;
    if (bracket && *at++ != ']') return msfl_fail(MSFL_ERR_FORMAT, "a bracket is open in the coordinator's address");
    if (*at == ':') {
        uint32_t v = 0;
        size_t digits = 0;
        for (at++; *at >= '0' && *at <= '9' && digits < 6; at++, digits++)
            v = 10 * v + (uint32_t)(*at - '0');
        if (digits == 0 || v < 1 || v > 65535) return msfl_fail(MSFL_ERR_FORMAT, "a port is 1 to 65535");
        *port = v;
    }
    if (*at == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "the coordinator's address is https://host:port and nothing behind it");
}

msfl_status pki_reason_check(const char *reason) {
    size_t n = strnlen(reason, PKI_REASON_MAX + 1);
    bool good = n <= PKI_REASON_MAX;
    /* ASCII: what an operator types is read on terminals, in logs and in YAML. */
    for (size_t i = 0; good && i < n; i++)
        good = reason[i] >= 0x20 && reason[i] < 0x7f && reason[i] != '"' && reason[i] != '\\';
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "a reason is one line of at most %d ASCII characters without \" and \\",
                     PKI_REASON_MAX);
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pki_hex_read(const char *text, uint8_t *out, size_t n) {
    if (strnlen(text, 2 * n + 1) != 2 * n) return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(16 * high + low);
    }
    return true;
}

const char *pki_verdict_name(pki_verdict verdict) {
    switch (verdict) {
#define PKI_VERDICT_TEXT(name, text)                                                                                   \
    case PKI_##name:                                                                                                   \
        return text;
        PKI_VERDICTS(PKI_VERDICT_TEXT)
#undef PKI_VERDICT_TEXT
    }
    return "unknown";
}
