// What Sphinx leaves out for readers without a mouse or without eyes.
document.addEventListener("DOMContentLoaded", () => {
    for (const heading of document.querySelectorAll("[role=heading]:not([aria-level])")) {
        heading.setAttribute("aria-level", "2");
    }
    // What scrolls by itself must be reachable by the keyboard; what is folded has its width once it is open.
    const reach = () => {
        for (const box of document.querySelectorAll("pre, .table-wrapper, math[display=block], dt.sig")) {
            if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
        }
    };
    reach();
    document.addEventListener("toggle", reach, true);
});
