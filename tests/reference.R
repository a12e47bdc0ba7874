# What R makes of a study: Rscript reference.R runs.csv values.csv rate batch epochs
# runs.csv: lr, bs, ep (coded), dataset, seed, trajectory, loss. The last three arguments: a place, in coded units.
suppressPackageStartupMessages({ library(sandwich); library(emmeans); library(lme4) })
args <- commandArgs(trailingOnly = TRUE)
runs <- read.csv(args[1])
place <- as.numeric(args[3:5])
runs$seed <- factor(runs$seed)
runs$dataset <- factor(runs$dataset)
contrasts(runs$seed) <- contr.sum(nlevels(runs$seed))
contrasts(runs$dataset) <- contr.sum(nlevels(runs$dataset))

values <- data.frame(name = character(), value = numeric())
put <- function(name, value) values <<- rbind(values, data.frame(name = name, value = as.numeric(value)))

names_of <- function(labels) {
  labels <- sub("^\\(Intercept\\)$", "intercept", labels)
  labels <- gsub("I\\((lr|bs|ep)\\^([23])\\)", "\\1^\\2", labels)
  labels <- gsub("\\blr\\b", "learning_rate", labels)
  labels <- gsub("\\bbs\\b", "batch_size", labels)
  gsub("\\bep\\b", "epochs", labels)
}

blocks <- loss ~ seed + dataset
first <- update(blocks, . ~ . + lr + bs + ep)
twoway <- update(first, . ~ . + lr:bs + lr:ep + bs:ep)
full <- update(twoway, . ~ . + I(lr^2) + I(bs^2) + I(ep^2))
cubic <- update(full, . ~ . + I(lr^3))
fit <- lm(full, runs)

put(paste0("coefficient ", names_of(names(coef(fit)))), coef(fit))
put(paste0("hc3 ", names_of(names(coef(fit)))), sqrt(diag(vcovHC(fit, type = "HC3"))))

# CR3 by what it means: the jackknife over trajectories, around the full fit.
groups <- unique(runs$trajectory)
shifts <- sapply(groups, function(g) coef(lm(full, runs[runs$trajectory != g, ])) - coef(fit))
put(paste0("cr3 ", names_of(names(coef(fit)))), sqrt((length(groups) - 1) / length(groups) * rowSums(shifts^2)))

ladder <- list(first_order = first, interactions = twoway, quadratic = full, cubic = cubic)
models <- c(list(lm(blocks, runs)), lapply(ladder, lm, data = runs))
table <- do.call(anova, unname(models))
for (rung in seq_along(ladder)) {
  model <- models[[rung + 1]]
  who <- names(ladder)[rung]
  put(paste(who, c("df", "sum_sq", "f_value", "p_value")), unlist(table[rung + 1, c("Df", "Sum of Sq", "F", "Pr(>F)")]))
  press <- sum((residuals(model) / (1 - hatvalues(model)))^2)
  k <- length(coef(model)) + 1
  n <- nrow(runs)
  put(paste(who, c("r2", "r2_adjusted", "press")), c(summary(model)$r.squared, summary(model)$adj.r.squared, press))
  put(paste(who, "aicc"), -2 * as.numeric(logLik(model)) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
}

at <- list(lr = place[1], bs = place[2], ep = place[3])
for (name in c("lr", "bs", "ep")) {
  found <- as.data.frame(emtrends(fit, ~1, var = name, at = at, vcov. = vcovHC(fit, type = "HC3"), delta.var = 1e-7))
  put(paste("slope", names_of(name)), found[[paste0(name, ".trend")]])
  put(paste("slope", names_of(name), "hc3"), found$SE)
}

cells <- lm(loss ~ seed + interaction(dataset, lr, bs, ep), runs)
lof <- anova(fit, cells)
put(paste("lack_of_fit", c("f", "p", "sum_sq", "sum_sq_error")), c(lof$F[2], lof$`Pr(>F)`[2], lof$`Sum of Sq`[2], lof$RSS[2]))

squares <- residuals(fit)^2
spread <- anova(lm(squares ~ 1, runs), lm(squares ~ lr + bs + ep, runs))
put(paste("breusch_pagan", c("f", "p")), c(spread$F[2], spread$`Pr(>F)`[2]))
scaled <- residuals(fit) / sqrt(1 - hatvalues(fit))
put("normality w", shapiro.test(scaled)$statistic)
put("cook", max(cooks.distance(fit)))
put("studentised", max(abs(rstudent(fit))))

mixed <- lmer(update(full, . ~ . - seed + (1 | seed)), runs, REML = TRUE)
put(paste0("mixed ", names_of(names(fixef(mixed)))), fixef(mixed))
put(paste0("mixed_se ", names_of(names(fixef(mixed)))), sqrt(diag(as.matrix(vcov(mixed)))))

values$value <- format(values$value, digits = 15)
write.csv(values, args[2], row.names = FALSE)
