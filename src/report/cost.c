/* What encryption costs: bytes on the line, time, memory. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>
#include <stdio.h>

/* --- bytes --- */

static void byte_row(msfl_page *page, const char *style, const char *name, double bytes, double longest, double plain) {
    if (!(bytes >= 0.0)) return;
    msfl_buffer *out = page->out;
    msfl_put_text(out, "<tr%s><th scope=\"row\">%s</th><td class=\"plot\"><svg aria-hidden=\"true\">",
                  strcmp(style, "part") == 0 ? " class=\"part\"" : "", name);
    if (longest > 0.0) {
        msfl_put_text(out, "<rect class=\"%s\" width=\"%.3f%%\" height=\"100%%\"/>", style, 100.0 * bytes / longest);
    }
    msfl_put_text(out, "</svg></td><td>%s</td><td>%s%s</td></tr>\n", msfl_bytes_text(bytes).text,
                  plain > 0.0 ? msfl_fixed(bytes / plain, bytes / plain < 0.01 ? 4 : 2).text : "–",
                  plain > 0.0 ? "×" : "");
}

static bool put_bytes_table(msfl_page *page) {
    const json_t *r = page->result;
    double plain = msfl_number_at(r, "bytes_float32");
    double up = msfl_number_at(r, "bytes_up_per_client_round"), down = msfl_number_at(r, "bytes_down_per_client_round");
    double longest = fmax(fmax(plain, up), down); /* fmax passes NaN over */
    if (isnan(longest)) return false;
    msfl_table_begin(page, "Bytes for one hospital and one round, on average", "bars bytes");
    msfl_put_text(page->out, "<thead><tr><th scope=\"col\">What</th><th scope=\"col\"><span class=\"hidden\">Bar"
                             "</span></th><th scope=\"col\">Bytes</th><th scope=\"col\">Against float32</th></tr>"
                             "</thead>\n<tbody>\n");
    byte_row(page, "plain", "Update as plain float32, for comparison", plain, longest, plain);
    byte_row(page, "encrypted", "Sent: all", up, longest, plain);
    byte_row(page, "part", "ciphertext", msfl_number_at(r, "bytes_ciphertext_per_client_round"), longest, plain);
    byte_row(page, "part", "key shares", msfl_number_at(r, "bytes_bundle_per_client_round"), longest, plain);
    byte_row(page, "part", "header", msfl_number_at(r, "bytes_header_per_client_round"), longest, plain);
    byte_row(page, "down", "Received: the next model", down, longest, plain);
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);
    return true;
}

/* --- time --- */

typedef struct step {
    const char *key, *words, *style;
} step;

static const step steps[] = {
    {"train", "Train", "plain"},           {"quantise", "Clip and quantise", "encrypted"},
    {"encrypt", "Encrypt", "encrypted"},   {"fold", "Add to the encrypted sum", "encrypted"},
    {"open", "Open the sum", "encrypted"}, {"evaluate", "Evaluate", "plain"},
};
enum { N_STEPS = sizeof steps / sizeof steps[0] };

static double mean_over_rounds(const json_t *rounds, const char *key) {
    double sum = 0.0;
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(rounds); i++) {
        double v = msfl_number_at(msfl_at(json_array_get(rounds, i), "ms"), key);
        if (!(v >= 0.0)) continue;
        sum += v;
        count++;
    }
    return count > 0 ? sum / (double)count : NAN;
}

static bool put_time_table(msfl_page *page) {
    const json_t *rounds = msfl_array_at(page->result, "rounds");
    double ms[N_STEPS], total = 0.0, longest = 0.0;
    for (int k = 0; k < N_STEPS; k++) {
        ms[k] = mean_over_rounds(rounds, steps[k].key);
        if (isnan(ms[k])) continue;
        total += ms[k];
        longest = fmax(longest, ms[k]);
    }
    if (!(total > 0.0)) return false;
    msfl_buffer *out = page->out;
    msfl_table_begin(page, "Time of one round, on average", "bars time");
    msfl_put_text(out, "<thead><tr><th scope=\"col\">Step</th><th scope=\"col\"><span class=\"hidden\">Bar</span></th>"
                       "<th scope=\"col\">Time</th><th scope=\"col\">Share of the steps</th></tr></thead>\n<tbody>\n");
    for (int k = 0; k < N_STEPS; k++) {
        if (isnan(ms[k])) continue;
        msfl_put_text(out,
                      "<tr><th scope=\"row\">%s</th><td class=\"plot\"><svg aria-hidden=\"true\"><rect class=\"%s\" "
                      "width=\"%.3f%%\" height=\"100%%\"/></svg></td><td>%s</td><td>%s</td></tr>\n",
                      steps[k].words, steps[k].style, 100.0 * ms[k] / longest, msfl_ms_text(ms[k]).text,
                      msfl_percent(ms[k] / total, 1).text);
    }
    double wall = mean_over_rounds(rounds, "wall");
    if (!isnan(wall)) {
        msfl_put_text(out,
                      "<tr class=\"total\"><th scope=\"row\">Whole round, by the clock</th><td></td><td>%s</td>"
                      "<td></td></tr>\n",
                      msfl_ms_text(wall).text);
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
    return true;
}

void msfl_section_cost(msfl_page *page) {
    msfl_section_begin(page, "cost", "What it costs");
    msfl_buffer *out = page->out;
    const json_t *r = page->result;
    if (!put_bytes_table(page)) msfl_html_missing(out, "the bytes sent and received");
    bool has_times = put_time_table(page);
    if (!has_times) msfl_html_missing(out, "the time of the steps");
    double share = msfl_number_at(r, "crypto_share_of_round"), peak = msfl_number_at(r, "peak_rss_bytes");
    bool has_share = !isnan(share) && msfl_is_encrypted(r);
    if (!has_times && !has_share && isnan(peak)) {
        msfl_section_end(page);
        return;
    }
    msfl_put_text(out, "<p class=\"note\">");
    if (has_share) {
        msfl_put_text(out, "Encrypting, adding and opening took %s of the rounds’ wall time. ",
                      msfl_percent(share, 2).text);
    }
    if (!isnan(peak)) {
        msfl_put_text(out, "The whole process, all hospitals and all comparisons in one, held at most %s of memory. ",
                      msfl_bytes_text(peak).text);
    }
    if (has_times) {
        msfl_put_text(out, "Steps of several hospitals overlap, so that they may add up to more than the whole round.");
    }
    msfl_put_text(out, "</p>\n");
    msfl_section_end(page);
}
