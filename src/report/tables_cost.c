/* Bytes and times of the federations of a reproduction, beside the prototype's. */
#include "report/html.h"
#include "report/read.h"
#include "report/tables.h"

#include <math.h>

static void put_bytes_bar(msfl_page *page, const char *style, const char *name, double clients, double bytes,
                          double longest, double per_weight) {
    msfl_buffer *out = page->out;
    if (!(bytes >= 0) || !(longest > 0)) return;
    msfl_put_text(out, "<tr><th scope=\"row\">%s", name);
    if (clients > 0) msfl_put_text(out, "%s hospitals", msfl_whole(clients).text);
    /* Nine orders of magnitude: on a linear scale all but one would be a hair. */
    msfl_put_text(
        out,
        "</th><td class=\"plot\"><svg aria-hidden=\"true\"><rect class=\"%s\" width=\"%.2f%%\" height=\"100%%\"/>"
        "</svg></td><td>%s</td><td>%s</td></tr>\n",
        style, 100 * log10(fmax(bytes, 1)) / log10(longest), msfl_bytes_text(bytes).text,
        per_weight >= 1000 ? msfl_whole(per_weight).text : msfl_significant(per_weight).text);
}

static void put_bytes(msfl_page *page, const json_t *costs, double proto_bytes, double proto_weight) {
    msfl_table_begin(page, "Bytes that one hospital sends in one round; bars on a logarithmic scale", "bars bytes");
    msfl_put_text(page->out,
                  "<thead><tr><th scope=\"col\">What</th><th scope=\"col\"><span class=\"hidden\">Bar</span></th>"
                  "<th scope=\"col\">Bytes</th><th scope=\"col\">For each weight</th></tr></thead>\n<tbody>\n");
    double plain = NAN, values = NAN, longest = proto_bytes;
    for (size_t i = 0; i < json_array_size(costs); i++) {
        const json_t *c = json_array_get(costs, i);
        plain = fmax(plain, msfl_number_at(c, "bytes_float32"));
        values = fmax(values, msfl_number_at(c, "values"));
        longest = fmax(longest, msfl_number_at(c, "bytes_up"));
    }
    put_bytes_bar(page, "plain", "Plain float32, for comparison", 0, plain, longest, plain / values);
    for (size_t i = 0; i < json_array_size(costs) && i < MSFL_TABLES_COLUMNS_MAX; i++) {
        const json_t *c = json_array_get(costs, i);
        const double up = msfl_number_at(c, "bytes_up");
        put_bytes_bar(page, "encrypted", "Encrypted, ", msfl_number_at(c, "clients"), up, longest, up / values);
    }
    put_bytes_bar(page, "down", "The prototype", 0, proto_bytes, longest, proto_weight);
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);
}

static void put_times(msfl_page *page, const json_t *costs) {
    msfl_buffer *out = page->out;
    const double slow = msfl_number_in(msfl_array_at(page->result, "prototype.ms_per_weight"), 0);
    const double slowest = msfl_number_in(msfl_array_at(page->result, "prototype.ms_per_weight"), 1);
    const double n = msfl_number_at(page->result, "prototype.values");
    msfl_table_begin(page, "Time, on average", "figures");
    msfl_put_text(
        out, "<thead><tr><th scope=\"col\">Federation</th><th scope=\"col\">Weights</th><th scope=\"col\">Encrypting, "
             "one hospital and round</th><th scope=\"col\">For each weight</th><th scope=\"col\">Adding and opening, "
             "one round</th><th scope=\"col\">Encryption, of a round’s time</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < json_array_size(costs) && i < MSFL_TABLES_COLUMNS_MAX; i++) {
        const json_t *c = json_array_get(costs, i);
        const double ms = msfl_number_at(c, "ms_encrypt"), values = msfl_number_at(c, "values");
        msfl_put_text(
            out,
            "<tr><th scope=\"row\">%s hospitals</th><td>%s</td><td>%s</td><td>%s ns</td><td>%s</td><td>%s</td></tr>\n",
            msfl_whole(msfl_number_at(c, "clients")).text, msfl_whole(values).text, msfl_ms_text(ms).text,
            msfl_significant(1e6 * ms / values).text, msfl_ms_text(msfl_number_at(c, "ms_combine")).text,
            msfl_percent(msfl_number_at(c, "crypto_share"), 1).text);
    }
    if (!isnan(slow * slowest * n)) {
        msfl_put_text(
            out,
            "<tr><th scope=\"row\">The prototype</th><td>%s</td><td>%s to %s</td><td>%s to %s ns</td><td>–</td>"
            "<td>–</td></tr>\n",
            msfl_whole(n).text, msfl_ms_text(slow * n).text, msfl_ms_text(slowest * n).text,
            msfl_whole(1e6 * slow).text, msfl_whole(1e6 * slowest).text);
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
}

void msfl_tables_costs(msfl_page *page) {
    const json_t *costs = msfl_array_at(page->result, "costs");
    const double bytes = msfl_number_at(page->result, "prototype.bytes_per_client_round");
    msfl_section_begin(page, "costs", "Costs");
    if (costs == NULL) {
        msfl_html_missing(page->out, "costs");
    } else {
        put_bytes(page, costs, bytes, msfl_number_at(page->result, "prototype.bytes_per_weight"));
        put_times(page, costs);
        msfl_put_text(
            page->out,
            "<p class=\"note\">Encrypting includes quantising. Times were taken while all hospitals of the "
            "simulation worked on this machine’s cores; they are not repeated when a run is taken as it is, and "
            "unlike every other number on this page they differ when a run is made again.</p>\n");
        msfl_tables_source(page, "prototype’s", "prototype.costs_from");
    }
    msfl_section_end(page);
}
