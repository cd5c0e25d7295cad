/* How the run was made, so that it can be made again. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>
#include <stdio.h>

enum { LAYERS_SHOWN_MAX = 200, OPTIONS_SHOWN_MAX = 100 };

static void put_text(msfl_page *page, const char *name, const char *value, bool is_code) {
    if (value == NULL) return;
    msfl_buffer *out = page->out;
    msfl_put_text(out, "<div><dt>%s</dt><dd>%s", name, is_code ? "<code>" : "");
    if (is_code)
        msfl_html_long_word(out, value, 2000);
    else
        msfl_html_text_max(out, value, 400);
    msfl_put_text(out, "%s</dd></div>\n", is_code ? "</code>" : "");
}

/* A text, number or flag, as short as it can be written. */
static void put_value(msfl_page *page, const json_t *value) {
    msfl_buffer *out = page->out;
    if (json_is_string(value)) msfl_html_long_word(out, json_string_value(value), 300);
    if (json_is_boolean(value)) msfl_put_text(out, "%s", json_is_true(value) ? "yes" : "no");
    if (json_is_real(value)) msfl_put_text(out, "%.6g", json_real_value(value));
    if (json_is_integer(value)) msfl_put_text(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* An object or array is left out. */
static void put_any(msfl_page *page, const char *name, const json_t *value) {
    if (!json_is_string(value) && !json_is_boolean(value) && !json_is_number(value)) return;
    msfl_put_text(page->out, "<div><dt>%s</dt><dd>", name);
    put_value(page, value);
    msfl_put_text(page->out, "</dd></div>\n");
}

static void put_model(msfl_page *page) {
    const json_t *model = msfl_at(page->result, "model");
    msfl_buffer *out = page->out;
    if (model == NULL) {
        msfl_html_missing(out, "the model");
        return;
    }
    msfl_put_text(out, "<h3>Model</h3>\n<dl class=\"facts\">\n");
    put_text(page, "Name", msfl_string_at(model, "name"), false);
    double values = msfl_number_at(model, "values"), trainable = msfl_number_at(model, "trainable");
    if (!isnan(values)) {
        msfl_put_text(out, "<div><dt>Values</dt><dd>%s", msfl_whole(values).text);
        if (trainable == values)
            msfl_put_text(out, ", all trained");
        else if (!isnan(trainable))
            msfl_put_text(out, ", %s of them trained", msfl_whole(trainable).text);
        msfl_put_text(out, "</dd></div>\n");
    }
    put_text(page, "Hash", msfl_string_at(model, "hash"), true);
    msfl_put_text(out, "</dl>\n");
    const json_t *layers = msfl_array_at(model, "layers");
    if (layers == NULL) return;
    size_t n = json_array_size(layers);
    msfl_put_text(out, "<details><summary>%zu layers</summary><ol class=\"layers\">\n", n);
    for (size_t i = 0; i < n && i < LAYERS_SHOWN_MAX; i++) {
        msfl_put_text(out, "<li>");
        msfl_html_text(out, msfl_string_in(layers, i));
        msfl_put_text(out, "</li>\n");
    }
    msfl_put_text(out, "</ol>%s</details>\n", n > LAYERS_SHOWN_MAX ? "<p class=\"note\">and more</p>" : "");
}

static void put_training(msfl_page *page) {
    static const char *const names[][2] = {
        {"optimizer", "Optimiser"},
        {"learning_rate", "Learning rate"},
        {"momentum", "Momentum"},
        {"weight_decay", "Weight decay"},
        {"batch", "Batch"},
        {"local_epochs", "Epochs per round"},
        {"local_steps", "Batches per round"},
        {"schedule", "Schedule"},
        {"views", "Views of a test image"},
        {"augment", "Augmentation"},
        {"augmentation", "Augmentation by"},
        {"normalise", "Normalisation"},
        {"balance", "Classes weigh alike"},
        {"logit_adjustment", "Logit adjustment"},
        {"label_smoothing", "Label smoothing"},
        {"focal", "Focal loss"},
        {"dice", "Weight of Dice"},
        {"proximal", "FedProx"},
        {"norms", "Normalisation layers"},
        {"server_rule", "Server rule"},
        {"server_learning_rate", "Server's learning rate"},
    };
    const json_t *training = msfl_at(page->result, "training");
    if (training == NULL) {
        msfl_html_missing(page->out, "the training options");
        return;
    }
    msfl_put_text(page->out, "<h3>Training</h3>\n<dl class=\"facts\">\n");
    const char *optimizer = msfl_string_at(training, "optimizer");
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        /* What the run did not go by is not shown: Adam has no momentum of that kind, a round of steps no epochs. */
        if (strcmp(names[k][0], "momentum") == 0 && optimizer != NULL && strcmp(optimizer, "adam") == 0) continue;
        if (strcmp(names[k][0], "local_epochs") == 0 && msfl_at(training, "local_steps") != NULL) continue;
        put_any(page, names[k][1], msfl_at(training, names[k][0]));
    }
    msfl_put_text(page->out, "</dl>\n");
}

/* Whatever options the run was given: names and values as they are stored. */
static void put_config(msfl_page *page) {
    msfl_buffer *out = page->out;
    json_t *config = json_object_get(page->result, "config");
    if (!json_is_object(config) || json_object_size(config) == 0) return;
    msfl_put_text(out, "<details><summary>All options, as config.json holds them</summary>\n<dl class=\"facts\">\n");
    const char *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach(config, name, value) {
        if (json_is_object(value) || json_is_array(value) || json_is_null(value)) continue;
        if (n++ == OPTIONS_SHOWN_MAX) break;
        msfl_put_text(out, "<div><dt>");
        msfl_html_text_max(out, name, 60);
        msfl_put_text(out, "</dt><dd>");
        put_value(page, value);
        msfl_put_text(out, "</dd></div>\n");
    }
    msfl_put_text(out, "</dl></details>\n");
}

void msfl_section_provenance(msfl_page *page) {
    const json_t *r = page->result;
    msfl_section_begin(page, "made", "How it was made");
    put_model(page);
    put_training(page);
    msfl_put_text(page->out, "<h3>Run</h3>\n<dl class=\"facts wide\">\n");
    put_text(page, "Program", msfl_string_at(r, "version"), false);
    put_text(page, "Command", msfl_string_at(r, "command"), true);
    put_text(page, "When", msfl_string_at(r, "created"), false);
    put_any(page, "Seed", msfl_at(r, "seed"));
    put_any(page, "Threads", msfl_at(r, "threads"));
    put_text(page, "Kernel", msfl_string_at(r, "params.kernel"), false);
    put_any(page, "Rounds planned", msfl_at(r, "rounds_planned"));
    put_any(page, "Best round", msfl_at(r, "best_round"));
    msfl_put_text(page->out, "</dl>\n");
    put_config(page);
    msfl_section_end(page);
}
