/* The parameters of the encryption, each with what it means. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>
#include <string.h>

typedef struct parameter {
    const char *key, *name;
    enum { WHOLE, TENTHS, HUNDREDTHS, POWER_OF_TWO, TEXT } form;
    const char *meaning;
} parameter;

static const parameter parameters[] = {
    {"description", "Parameters", TEXT, "in one line"},
    {"ring_degree", "Ring degree N", WHOLE, "coefficients of one polynomial"},
    {"n_primes", "Primes", WHOLE, "machine-word moduli that make up q"},
    {"log2_q", "log₂ q", TENTHS, "size of the modulus"},
    {"log2_q_max", "log₂ q, table bound", TENTHS,
     "largest modulus for this degree and security in the published guidelines"},
    {"security_bits", "Security", WHOLE, "bits, classical"},
    {"clients", "Hospitals planned for", WHOLE, "the sum of this many still opens exactly"},
    {"value_bits", "Bits of a value", WHOLE, "after clipping and quantising"},
    {"slot_bits", "Bits of a slot", WHOLE, "a value and the room for its sum"},
    {"slots_per_coefficient", "Slots in a coefficient", WHOLE, "values packed together"},
    {"noise_bits_max", "Noise, at most", TENTHS, "bits that the noise of all hospitals can take"},
    {"log2_failure", "Chance of a wrong coefficient", POWER_OF_TWO, "that noise ever reaches the values"},
    {"bits_per_value", "Bits sent for a value", HUNDREDTHS, "ciphertext over values; plain float32 is 32"},
    {"slots", "Slots", WHOLE, "values of one update, and the few that travel with it"},
    {"chunks", "Chunks", WHOLE, "pieces that one update is encrypted in"},
    {"setup_bytes", "Set-up", WHOLE, "bytes that a hospital receives or exchanges before it can encrypt"},
    {"kernel", "Kernel", TEXT, "instruction set of the arithmetic; all give the same integers"},
};

void msfl_section_encryption(msfl_page *page) {
    msfl_section_begin(page, "encryption", "Encryption parameters");
    msfl_buffer *out = page->out;
    const json_t *params = msfl_at(page->result, "params");
    bool has_any = false;
    for (size_t k = 0; k < sizeof parameters / sizeof parameters[0]; k++)
        has_any = has_any || msfl_at(params, parameters[k].key) != NULL;
    if (!has_any) {
        msfl_html_missing(out, "encryption parameters");
        msfl_section_end(page);
        return;
    }
    const char *scheme = msfl_string_at(page->result, "scheme"), *custody = msfl_string_at(page->result, "custody");
    msfl_put_text(out, "<p>");
    if (scheme != NULL) {
        msfl_put_text(out, "Scheme <b>");
        msfl_html_text_max(out, scheme, 40);
        msfl_put_text(out, "</b>");
    }
    if (custody != NULL) {
        msfl_put_text(out, "%s <b>", scheme != NULL ? ", keys in the custody of:" : "Keys in the custody of:");
        msfl_html_text_max(out, custody, 40);
        msfl_put_text(out, "</b>");
    }
    const char *delivery = msfl_string_at(page->result, "delivery");
    if (delivery != NULL && strcmp(delivery, "clients") == 0) {
        msfl_put_text(out, "%s the <b>hospitals</b>, not the coordinator",
                      scheme != NULL || custody != NULL ? "; sums opened by" : "Sums opened by");
    }
    msfl_put_text(out, scheme != NULL || custody != NULL ? ".</p>\n" : "</p>\n");
    msfl_table_begin(page, "Parameters, planned from the number of hospitals and the bits of a value", "parameters");
    msfl_put_text(out, "<thead><tr><th scope=\"col\">Parameter</th><th scope=\"col\">Value</th><th scope=\"col\">"
                       "Meaning</th></tr></thead>\n<tbody>\n");
    for (size_t k = 0; k < sizeof parameters / sizeof parameters[0]; k++) {
        const parameter *p = &parameters[k];
        double v = msfl_number_at(params, p->key);
        const char *text = msfl_string_at(params, p->key);
        if (p->form == TEXT ? text == NULL : isnan(v)) continue;
        msfl_put_text(out, "<tr><th scope=\"row\">%s</th><td>", p->name);
        if (p->form == WHOLE) msfl_put_text(out, "%s", msfl_whole(v).text);
        if (p->form == TENTHS) msfl_put_text(out, "%s", msfl_fixed(v, v == round(v) ? 0 : 1).text);
        if (p->form == HUNDREDTHS) msfl_put_text(out, "%s", msfl_fixed(v, 2).text);
        if (p->form == POWER_OF_TWO) {
            msfl_put_text(out, "2<sup>%s</sup>", msfl_fixed(v, v == round(v) ? 0 : 1).text);
        }
        if (p->form == TEXT) msfl_html_text_max(out, text, 160);
        msfl_put_text(out, "</td><td>%s</td></tr>\n", p->meaning);
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
    msfl_section_end(page);
}
