/* What the run shows, in words, before anything else. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>

static void put_outside(msfl_page *page, const char *before, const char *text, const char *after) {
    msfl_put_text(page->out, "%s", before);
    msfl_html_text(page->out, text);
    msfl_put_text(page->out, "%s", after);
}

/* "AUC" where there is one, else accuracy. */
static const char *main_figure(const json_t *result, const msfl_way *way, const char **name) {
    const json_t *figures = msfl_at(result, way->key);
    if (msfl_is_segmentation(result)) {
        *name = "mean Dice";
        return "dice";
    }
    bool has_auc = !isnan(msfl_number_at(figures, "auc"));
    *name = has_auc ? "AUC" : "accuracy";
    return has_auc ? "auc" : "accuracy";
}

static const char *things(const msfl_page *page) {
    return msfl_number_at(page->result, "data.depth") > 1 ? "volumes" : "images";
}

static void put_title(msfl_page *page, const msfl_way *way) {
    msfl_buffer *out = page->out;
    if (way == NULL) {
        msfl_put_text(out, "<h1>A run without a federated result</h1>\n");
        return;
    }
    const char *name, *key = main_figure(page->result, way, &name);
    const json_t *figures = msfl_at(page->result, way->key);
    double value = msfl_number_at(figures, key);
    const char *who = way == &msfl_ways[MSFL_WAY_ENCRYPTED] ? "Encrypted federation" : "Federation without encryption";
    if (isnan(value)) {
        msfl_put_text(out, "<h1>%s: no figure of merit could be computed</h1>\n", who);
        return;
    }
    msfl_put_text(out, "<h1>%s reaches %s %s <span class=\"nobreak\">of %s</span></h1>\n", who,
                  key[0] == 'a' ? "an" : "a", name, msfl_fixed(value, 3).text);
    const json_t *ends = msfl_at(msfl_at(figures, "intervals"), key);
    double low = msfl_number_in(ends, 0), high = msfl_number_in(ends, 1), n = msfl_number_at(figures, "n");
    msfl_put_text(out, "<p class=\"lede\">");
    if (!isnan(low) && !isnan(high)) {
        msfl_put_text(out, "95\u00a0%% interval %s to %s", msfl_fixed(low, 3).text, msfl_fixed(high, 3).text);
    } else {
        msfl_put_text(out, "No interval could be given");
    }
    if (!isnan(n)) msfl_put_text(out, ", on %s test %s that no hospital trained on", msfl_whole(n).text, things(page));
    msfl_put_text(out, ".%s</p>\n",
                  strcmp(key, "auc") == 0 && low <= 0.5 ? " Guessing gives 0.5, and the interval does not exclude that."
                                                        : "");
}

/* "the same", or how far the main result lies above or below `other`. */
static void put_difference(msfl_page *page, double ours, double other) {
    double difference = ours - other;
    if (strcmp(msfl_fixed(ours, 3).text, msfl_fixed(other, 3).text) == 0) {
        msfl_put_text(page->out, "the same to three digits");
    } else {
        msfl_put_text(page->out, "%s %s", msfl_fixed(fabs(difference), fabs(difference) < 0.001 ? 4 : 3).text,
                      difference > 0.0 ? "below the federation" : "above the federation");
    }
}

static void put_comparison(msfl_page *page, const msfl_way *way) {
    if (way == NULL) return;
    msfl_buffer *out = page->out;
    const char *name, *key = main_figure(page->result, way, &name);
    double ours = msfl_number_at(msfl_at(page->result, way->key), key);
    if (isnan(ours)) return;
    static const char *const words[MSFL_N_WAYS] = {NULL, "Averaging without encryption gives",
                                                   "Training on all images in one place gives",
                                                   "A hospital that trains alone reaches, on average,"};
    msfl_put_text(out, "<p>");
    for (int k = 1; k < MSFL_N_WAYS; k++) {
        if (way == &msfl_ways[k]) continue;
        double other = msfl_number_at(msfl_at(page->result, msfl_ways[k].key), key);
        if (isnan(other)) continue;
        msfl_put_text(out, "%s %s, ", words[k], msfl_fixed(other, 3).text);
        put_difference(page, ours, other);
        msfl_put_text(out, ". ");
    }
    msfl_put_text(out, "</p>\n");
}

static void put_what_was_done(msfl_page *page) {
    msfl_buffer *out = page->out;
    const json_t *r = page->result;
    const json_t *hospitals = msfl_array_at(r, "data.hospitals");
    double rounds = msfl_number_at(r, "rounds_done"), values = msfl_number_at(r, "model.values");
    double images = msfl_number_at(r, "data.images");
    if (msfl_at(r, "model") == NULL && hospitals == NULL) return;
    msfl_put_text(out, "<p>");
    if (hospitals != NULL)
        msfl_put_text(out, "%s hospitals", msfl_whole((double)json_array_size(hospitals)).text);
    else
        msfl_put_text(out, "The hospitals");
    put_outside(page, " trained ",
                msfl_string_at(r, "model.name") == NULL ? "a model" : msfl_string_at(r, "model.name"), "");
    if (!isnan(values)) msfl_put_text(out, " (%s values)", msfl_whole(values).text);
    if (!isnan(rounds)) msfl_put_text(out, " for %s round%s", msfl_whole(rounds).text, rounds == 1.0 ? "" : "s");
    if (!isnan(images)) msfl_put_text(out, " on a set of %s %s", msfl_whole(images).text, things(page));
    if (msfl_answer_at(r, "data.synthetic") == MSFL_YES) {
        msfl_put_text(out, ", <strong>drawn by this program</strong>: figures on synthetic images say nothing about "
                           "patients");
    }
    msfl_put_text(out, ".</p>\n");
}

static void put_exactness(msfl_page *page) {
    msfl_buffer *out = page->out;
    if (!msfl_is_encrypted(page->result) || msfl_at(page->result, "rounds") == NULL) return;
    const json_t *rounds = msfl_array_at(page->result, "rounds");
    msfl_answer all = msfl_answer_at(page->result, "sum_exact");
    size_t n = json_array_size(rounds), n_exact = 0;
    for (size_t i = 0; i < n; i++)
        n_exact += msfl_answer_at(json_array_get(rounds, i), "sum_exact") == MSFL_YES;
    if (all == MSFL_YES && n > 0 && n_exact == n) {
        msfl_put_text(
            out,
            "<p class=\"verdict good\"><strong>Sum exact in all %zu rounds.</strong> What was opened equals the "
            "sum of the hospitals’ quantised updates bit for bit.</p>\n",
            n);
    } else if (all == MSFL_NOT_SAID) {
        msfl_put_text(out, "<p class=\"verdict\">Whether the encrypted sum was exact is not in this result.</p>\n");
    } else {
        msfl_put_text(out,
                      "<p class=\"verdict bad\"><strong>Sum exact in %zu of %zu rounds only.</strong> An encrypted sum "
                      "that is not exact is a fault: do not use this model.</p>\n",
                      n_exact, n);
    }
}

static void put_notices(msfl_page *page) {
    msfl_buffer *out = page->out;
    const json_t *r = page->result;
    const char *scheme = msfl_string_at(r, "scheme");
    if (scheme != NULL && strcmp(scheme, "plain") == 0) {
        msfl_put_text(out,
                      "<p class=\"verdict bad\"><strong>Nothing was encrypted in this run</strong> (scheme plain): "
                      "the coordinator saw every hospital’s update.</p>\n");
    }
    if (msfl_answer_at(r, "complete") == MSFL_NO) {
        msfl_put_text(out, "<p class=\"verdict bad\"><strong>This run is not complete:</strong> %s of %s rounds",
                      msfl_whole(msfl_number_at(r, "rounds_done")).text,
                      msfl_whole(msfl_number_at(r, "rounds_planned")).text);
        if (msfl_string_at(r, "stopped") != NULL) put_outside(page, "; ", msfl_string_at(r, "stopped"), "");
        msfl_put_text(out, ".</p>\n");
    }
    const json_t *warnings = msfl_array_at(r, "warnings");
    if (warnings == NULL) return;
    enum { SHOWN_MAX = 20 };
    size_t n = json_array_size(warnings);
    msfl_put_text(out, "<div class=\"verdict warn\"><strong>%s</strong><ul>", n == 1 ? "A warning" : "Warnings");
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
        msfl_put_text(out, "<li>");
        msfl_html_text_max(out, msfl_string_in(warnings, i), 400);
        msfl_put_text(out, "</li>");
    }
    if (n > SHOWN_MAX) msfl_put_text(out, "<li>and %zu more</li>", n - SHOWN_MAX);
    msfl_put_text(out, "</ul></div>\n");
}

static void put_key_figure(msfl_page *page, const char *value, const char *words) {
    msfl_put_text(page->out, "<div><dt>%s</dt><dd>%s</dd></div>\n", words, value);
}

static void put_key_figures(msfl_page *page) {
    const json_t *r = page->result;
    msfl_buffer *out = page->out;
    double up = msfl_number_at(r, "bytes_up_per_client_round"), plain = msfl_number_at(r, "bytes_float32");
    double share = msfl_number_at(r, "crypto_share_of_round"), peak = msfl_number_at(r, "peak_rss_bytes");
    bool has_ratio = !isnan(up) && plain > 0.0;
    bool is_encrypted = msfl_is_encrypted(r);
    if (!has_ratio && isnan(share) && isnan(peak)) return;
    msfl_put_text(out, "<dl class=\"keys\">\n");
    if (has_ratio) {
        msfl_short ratio = msfl_fixed(up / plain, 2);
        msfl_short line;
        snprintf(line.text, sizeof line.text, "%.40s×", ratio.text);
        put_key_figure(page, line.text, "bytes sent per hospital and round, against plain float32");
    }
    if (!isnan(share) && is_encrypted) {
        put_key_figure(page, msfl_percent(share, 1).text, "of a round’s time went into encryption");
    }
    if (!isnan(peak)) put_key_figure(page, msfl_bytes_text(peak).text, "memory at the peak, all hospitals together");
    msfl_put_text(out, "</dl>\n");
}

void msfl_section_headline(msfl_page *page) {
    msfl_buffer *out = page->out;
    const msfl_way *way = msfl_main_way(page->result);
    msfl_put_text(out, "<div class=\"top\">\n<div>\n");
    put_title(page, way);
    put_notices(page);
    put_exactness(page);
    put_what_was_done(page);
    put_comparison(page, way);
    msfl_put_text(out, "</div>\n");
    put_key_figures(page);
    msfl_put_text(out, "</div>\n");
    const char *trust = msfl_string_at(page->result, "trust");
    if (trust != NULL) {
        msfl_put_text(out, "<aside class=\"trust\" aria-labelledby=\"trust\"><h2 id=\"trust\">Who has to be "
                           "trusted</h2><p>");
        msfl_html_text_max(out, trust, 2000);
        msfl_put_text(out, "</p></aside>\n");
    } else {
        msfl_html_missing(out, "a statement of who has to be trusted");
    }
}
