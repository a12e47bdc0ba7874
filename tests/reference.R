# What R makes of a study: Rscript reference.R RUNS.csv VALUES.csv LEARNING_RATE BATCH_SIZE EPOCHS
#
# RUNS.csv: learning_rate, batch_size, epochs; the same coded as lr, bs, ep; dataset, seed, trajectory, loss. The last
# three arguments are a place, in natural units, at which slopes are read. VALUES.csv: quantity, name, value.
suppressPackageStartupMessages({ library(sandwich); library(emmeans); library(lme4) })

RUNGS <- list(
  blocks = loss ~ dataset + seed,
  first_order = . ~ . + lr + bs + ep,
  interactions = . ~ . + lr:bs + lr:ep + bs:ep,
  quadratic = . ~ . + I(lr^2) + I(bs^2) + I(ep^2),
  cubic = . ~ . + I(lr^3)
)
FACTORS <- c(lr = "learning_rate", bs = "batch_size", ep = "epochs")
SCALES <- list(lr = log2, bs = log2, ep = identity)

# ---- reading and writing

table_of <- function(path) {
  runs <- read.csv(path)
  for (short in names(FACTORS)) stopifnot(all.equal(runs[[short]], coded(short, runs[[FACTORS[short]]], runs)))
  for (block in c("dataset", "seed")) {
    runs[[block]] <- factor(runs[[block]], levels = sort(unique(runs[[block]]), method = "radix"))
    contrasts(runs[[block]]) <- contr.sum(nlevels(runs[[block]])) # the last level is minus one
  }
  runs
}

coded <- function(short, natural, runs) {
  ends <- range(SCALES[[short]](runs[[FACTORS[short]]]))
  2 * (SCALES[[short]](natural) - mean(ends)) / diff(ends)
}

rows <- function(quantity, values) {
  data.frame(quantity = quantity, name = names(values), value = sprintf("%.15g", unlist(values)))
}

term_names <- function(labels) {
  for (block in c("dataset", "seed")) {
    levels <- levels(runs[[block]])
    for (number in seq_along(levels)[-1] - 1) {
      labels[labels == paste0(block, number)] <- sprintf("%s[%s]", block, levels[number])
    }
  }
  labels <- sub("^I\\((.*)\\)$", "\\1", sub("^\\(Intercept\\)$", "intercept", labels))
  for (short in names(FACTORS)) labels <- gsub(paste0("\\b", short, "\\b"), FACTORS[short], labels)
  labels
}

# ---- covariances

# vcovCL(type = "HC3", cadjust = FALSE) of sandwich 3.0-2 multiplies sum_g s_g s_g', s_g = W_g' (I - H_gg)^-1 e_g, by
# (G - 1) / G: its meatCL() scales the scores by sqrt((G - 1) / G), and cadjust = TRUE, the default, undoes that by
# G / (G - 1). So it is the jackknife's factor already, and is used as it comes.
clustered <- function(fit, clusters) vcovCL(fit, type = "HC3", cluster = clusters, cadjust = FALSE)

by_hand <- function(fit, clusters) {
  X <- model.matrix(fit)
  W <- X %*% solve(crossprod(X))
  scores <- sapply(split(seq_along(clusters), clusters), function(g) {
    own <- diag(length(g)) - X[g, , drop = FALSE] %*% t(W[g, , drop = FALSE])
    crossprod(W[g, , drop = FALSE], solve(own, residuals(fit)[g]))
  })
  tcrossprod(scores) * (ncol(scores) - 1) / ncol(scores)
}

jackknife <- function(fit, clusters) {
  shifts <- sapply(unique(clusters), function(g) coef(lm(formula(fit), runs[clusters != g, ])) - coef(fit))
  tcrossprod(shifts) * (ncol(shifts) - 1) / ncol(shifts)
}

errors_of <- function(cov, names) setNames(sqrt(diag(cov)), names)

# ---- models

quality <- function(fit) {
  n <- nobs(fit)
  k <- length(coef(fit)) + 1 # and the error variance
  press <- sum((residuals(fit) / (1 - hatvalues(fit)))^2)
  total <- sum((fit$model$loss - mean(fit$model$loss))^2)
  list(
    parameters = k - 1, r2 = summary(fit)$r.squared, r2_adjusted = summary(fit)$adj.r.squared,
    r2_predicted = 1 - press / total, press = press, log_likelihood = as.numeric(logLik(fit)),
    aicc = -2 * as.numeric(logLik(fit)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
  )
}

wald <- function(fit, added, cov, df) {
  b <- coef(fit)[added]
  f <- drop(b %*% solve(cov[added, added], b)) / length(added)
  list(f = f, df1 = length(added), df2 = df, p = pf(f, length(added), df, lower.tail = FALSE))
}

# Hotelling's: the covariance itself has but df degrees of freedom.
hotelling <- function(fit, added, cov, df) {
  q <- length(added)
  f <- wald(fit, added, cov, df)$f * (df - q + 1) / df
  list(f = f, df1 = q, df2 = df - q + 1, p = pf(f, q, df - q + 1, lower.tail = FALSE))
}

ladder <- function(fits, clusters) {
  steps <- do.call(anova, unname(fits))
  groups <- length(unique(clusters))
  parts <- lapply(seq_along(fits), function(number) {
    rung <- names(fits)[number]
    fit <- fits[[number]]
    out <- rows(paste0("quality.", rung), quality(fit))
    if (number == 1) return(out)
    added <- setdiff(names(coef(fit)), names(coef(fits[[number - 1]])))
    step <- steps[number, ]
    found <- list(df = step$Df, sum_sq = step$`Sum of Sq`, f = step$F, p = step$`Pr(>F)`)
    rbind(
      out, rows(paste0("sequential.", rung), found),
      rows(paste0("wald_hc3.", rung), wald(fit, added, vcovHC(fit, type = "HC3"), df.residual(fit))),
      rows(paste0("wald_cr3.", rung), hotelling(fit, added, clustered(fit, clusters), groups - 1))
    )
  })
  do.call(rbind, parts)
}

coefficients_of <- function(fit, clusters) {
  names <- term_names(names(coef(fit)))
  rbind(
    rows("coefficient", setNames(coef(fit), names)),
    rows("classical_se", errors_of(vcov(fit), names)),
    rows("hc3_se", errors_of(vcovHC(fit, type = "HC3"), names)),
    rows("cr3_se", errors_of(clustered(fit, clusters), names)),
    rows("cr3_by_hand_se", errors_of(by_hand(fit, clusters), names)),
    rows("jackknife_se", errors_of(jackknife(fit, clusters), names))
  )
}

# emtrends takes a forward difference, which is off by the square's coefficient times its step.
slopes <- function(fit, place) {
  parts <- lapply(names(FACTORS), function(short) {
    trend <- function(...) as.data.frame(emtrends(fit, ~1, var = short, at = place, delta.var = 1e-7, ...))
    plain <- trend()
    found <- list(
      estimate = plain[[paste0(short, ".trend")]], se_classical = plain$SE,
      se_hc3 = trend(vcov. = vcovHC(fit, type = "HC3"))$SE
    )
    rows(paste0("slope.", FACTORS[short]), found)
  })
  do.call(rbind, parts)
}

mixed <- function(quadratic) {
  fit <- lmer(update(formula(quadratic), . ~ . - seed + (1 | seed)), runs, REML = TRUE)
  names <- term_names(names(fixef(fit)))
  spread <- as.data.frame(VarCorr(fit))
  rbind(
    rows("mixed", setNames(fixef(fit), names)),
    rows("mixed_se", errors_of(as.matrix(vcov(fit)), names)),
    rows("mixed_sd", setNames(spread$sdcor, c("seed", "residual")))
  )
}

# ---- checks

compared <- function(table) list(f = table$F[2], df1 = table$Df[2], df2 = table$Res.Df[2], p = table$`Pr(>F)`[2])

lack_of_fit <- function(fit) {
  table <- anova(fit, lm(loss ~ interaction(dataset, lr, bs, ep) + seed, runs))
  c(compared(table), ss = table$`Sum of Sq`[2], ss_pe = table$RSS[2])
}

breusch_pagan <- function(fit) {
  squares <- cbind(runs, square = residuals(fit)^2)
  spread <- lm(square ~ lr + bs + ep, squares)
  lm_statistic <- nrow(runs) * summary(spread)$r.squared
  lm_test <- list(lm = lm_statistic, lm_p = pchisq(lm_statistic, 3, lower.tail = FALSE))
  c(lm_test, compared(anova(lm(square ~ 1, squares), spread)))
}

# fitted: the values whose powers are added: those of all parameters, or of the surface without the blocks.
reset <- function(fit, fitted) {
  more <- update(fit, . ~ . + I(fitted^2) + I(fitted^3), data = cbind(runs, fitted = fitted))
  robust <- wald(more, c("I(fitted^2)", "I(fitted^3)"), vcovHC(more, type = "HC3"), df.residual(more))
  c(compared(anova(fit, more)), f_hc3 = robust$f, p_hc3 = robust$p)
}

surface_part <- function(fit) {
  terms <- grep("^(dataset|seed)", names(coef(fit)), invert = TRUE)
  drop(model.matrix(fit)[, terms] %*% coef(fit)[terms])
}

shapiro <- function(residuals) {
  found <- shapiro.test(residuals)
  list(w = unname(found$statistic), p = found$p.value)
}

influence_of <- function(fit) {
  list(hat = max(hatvalues(fit)), cook = max(cooks.distance(fit)), studentised = max(abs(rstudent(fit))))
}

checks <- function(fit) {
  scaled <- (surface_part(fit) - mean(surface_part(fit))) / diff(range(surface_part(fit)))
  rbind(
    rows("lack_of_fit", lack_of_fit(fit)),
    rows("breusch_pagan", breusch_pagan(fit)),
    rows("reset", reset(fit, fitted(fit))),
    rows("reset_surface", reset(fit, scaled)),
    rows("shapiro", shapiro(residuals(fit))),
    rows("shapiro_standardised", shapiro(rstandard(fit))),
    rows("largest", influence_of(fit))
  )
}

# ---- all of it; the runs are global because emtrends and anova look them up by the name they were fitted under

args <- commandArgs(trailingOnly = TRUE)
runs <- table_of(args[1])
formulas <- Reduce(update, RUNGS[-1], RUNGS[[1]], accumulate = TRUE)
fits <- setNames(lapply(formulas, lm, data = runs), names(RUNGS))
place <- Map(function(short, natural) coded(short, natural, runs), names(FACTORS), as.numeric(args[3:5]))
formula <- formulas[[match("quadratic", names(RUNGS))]]
fit <- lm(formula, runs)
found <- rbind(
  coefficients_of(fit, runs$trajectory), ladder(fits, runs$trajectory), slopes(fit, place), checks(fit), mixed(fit)
)
write.csv(found, args[2], row.names = FALSE, quote = FALSE)
