/** The dashboard's start: builds the page and keeps it up to date. */
import 'uplot/dist/uPlot.min.css';
import uPlot from 'uplot';

document.title = `Holdfast ${uPlot.name}`;
