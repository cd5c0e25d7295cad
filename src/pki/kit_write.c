/* Writing the public part of a kit. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pki/kit.h"

static msfl_status put_config(const char *folder, const pki_roster *roster, const char *name, pki_role role) {
    char consortium[2 * MSFL_SIGN_PUBLIC_BYTES + 1];
    msfl_hex(roster->consortium, sizeof roster->consortium, consortium);
    msfl_buffer b = {0};
    msfl_put_text(
        &b,
        "format: medsecurefl-kit\nversion: 1\nfederation: %s\nname: %s\nrole: %s\nurl: \"%s\"\n"
        "# Whoever this key belongs to decides who takes part. Compare the federation's fingerprint by telephone:\n"
        "# medsecurefl provision check .\n"
        "consortium: \"%s\"\n"
        "# A proxy on the way to the coordinator, and a file of mode 0600 with one line user:password for it.\n"
        "# proxy: \"http://proxy.example:3128\"\n# proxy_auth: \"/etc/medsecurefl/proxy-auth\"\n",
        roster->federation, name, pki_role_name(role), roster->url, consortium);
    msfl_status status = b.status;
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_CONFIG, b.bytes, b.length);
    msfl_buffer_clear(&b);
    return status;
}

/* Browsers take certificate and key as one PKCS#12 file. */
static void put_browser(msfl_buffer *b, const char *name) {
    msfl_put_text(
        b,
        "This certificate lets a person or a script give the coordinator work and look at its dashboard. It has "
        "no part in\nrounds; identity.key is unused.\n\n"
        "For a browser, make one file of certificate and key (openssl asks for a passphrase to seal it "
        "with):\n\n"
        "    umask 077\n"
        "    openssl pkcs12 -export -in tls.pem -inkey tls.key -certfile ca.pem -name %s -out %s.p12\n\n"
        "Import %s.p12 as your own certificate (Firefox: Settings, Privacy & Security, View Certificates, Your "
        "Certificates)\nand ca.pem as an authority for websites, in a browser profile that is used for nothing else: "
        "whoever has that\nauthority could vouch for any website there. Then delete %s.p12. Some systems (macOS) read "
        "it "
        "only if made with\n-legacy. openssl cannot read a tls.key that provision sealed: for a browser, have the kit "
        "made without\n--kit-passphrase-file, or make a request of your own with plain keys.\n\n",
        name, name, name, name);
}

static msfl_status put_readme(const char *folder, const pki_roster *roster, const char *name, pki_role role,
                              bool has_keys) {
    uint8_t fingerprint[PKI_FINGERPRINT_BYTES];
    char hex[2 * PKI_FINGERPRINT_BYTES + 1];
    pki_federation_fingerprint(roster, fingerprint);
    msfl_hex(fingerprint, sizeof fingerprint, hex);
    msfl_buffer b = {0};
    msfl_put_text(&b, "%s in the federation %s, as %s\n\n", name, roster->federation, pki_role_name(role));
    msfl_put_text(&b, "ca.pem        the federation's certificate authority\n"
                      "tls.pem       your certificate\n"
                      "roster.yaml   who takes part, signed by the consortium; the coordinator sends newer ones\n"
                      "config.yaml   where the coordinator is, and the proxy on the way, if there is one\n"
                      "tls.key       private key of the certificate: stays here, mode 0600\n"
                      "identity.key  private key of the round protocol: stays here, mode 0600\n\n");
    if (has_keys) {
        msfl_put_text(&b,
                      "The two private keys were made at the authority. Carry this folder to its machine in a way that "
                      "nobody can\ncopy, and delete it elsewhere. Better: let the site make its keys itself "
                      "(provision request).\n\n");
    } else {
        msfl_put_text(&b,
                      "Copy these files into the folder in which 'provision request' made the two private keys.\n\n");
    }
    if (role == PKI_OPERATOR) put_browser(&b, name);
    msfl_put_text(&b,
                  "Then: medsecurefl provision check FOLDER\nand compare the fingerprint of the federation with the "
                  "authority by telephone:\n\n    %s\n",
                  hex);
    msfl_status status = b.status;
    if (status == MSFL_OK) status = pki_folder_write(folder, "README.txt", b.bytes, b.length);
    msfl_buffer_clear(&b);
    return status;
}

msfl_status pki_kit_write(const char *folder, const pki_roster *roster, const char *name, pki_role role, const char *ca,
                          const char *certificate, bool has_keys) {
    msfl_status status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = put_config(folder, roster, name, role);
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_CA, ca, strlen(ca));
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_CERT, certificate, strlen(certificate));
    if (status == MSFL_OK) status = put_readme(folder, roster, name, role, has_keys);
    return status;
}
