/* A table's cell with a small line: its values from 0 up, gaps where one is missing, a dot where one stands alone. */
var dagcomponentfuncs = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
dagcomponentfuncs.TollmeterTrend = function (props) {
  const values = props.value || [];
  const known = values.filter(function (value) { return value !== null; });
  if (!known.length) { return "—"; }
  const width = 120, height = 26, top = Math.max.apply(null, known) || 1;
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const parts = [];
  let pen = false;
  values.forEach(function (value, index) {
    if (value === null) { pen = false; return; }
    const x = (index * step).toFixed(1), y = (height - 2 - (height - 4) * value / top).toFixed(1);
    const alone = !pen && (index + 1 >= values.length || values[index + 1] === null);
    parts.push(alone ? "M" + x + " " + y + "h0.1" : (pen ? "L" : "M") + x + " " + y);
    pen = true;
  });
  const element = window.React.createElement;
  return element("svg", { width: width, height: height, viewBox: "0 0 " + width + " " + height, className: "tm-trend-line",
    "aria-hidden": "true" },
    element("path", { d: parts.join(""), fill: "none", stroke: "currentColor", strokeWidth: 1.5, strokeLinecap: "round" }));
};
