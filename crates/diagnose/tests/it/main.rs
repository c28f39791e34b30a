//! Scenes through the public interface: ticks and symptoms in, incidents with causes out.

mod scene;

mod crash;

mod other_causes;

mod comparisons;

mod innocence;

mod grouping;

mod life;

mod properties;
